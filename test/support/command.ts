/** The `daicn` command and other programs as child processes. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { inRoot } from '../../scripts/paths.ts'

export type Ended = { code: number; stdout: string; stderr: string }
export type Command = { kill(signal: NodeJS.Signals): void; firstLine: Promise<string>; ended: Promise<Ended> }

export type Surroundings = { cwd: string; env: Record<string, string | undefined> }

export function start(program: string, args: string[], { cwd, env }: Surroundings, input = ''): Command {
  const child = spawn(program, args, { cwd, env: { ...process.env, NO_COLOR: '1', NODE_NO_WARNINGS: '1', ...env } })
  let stdout = ''
  let stderr = ''
  const firstLine = new Promise<string>((resolve) => {
    child.stdout.on('data', (text) => {
      stdout += text
      if (stdout.includes('\n')) resolve(stdout.slice(0, stdout.indexOf('\n')))
    })
  })
  child.stderr.on('data', (text) => {
    stderr += text
  })
  child.stdin.end(input)
  const ended = once(child, 'close').then(([code]) => ({ code: code as number, stdout, stderr }))
  return { kill: (signal) => void child.kill(signal), firstLine, ended }
}

export const DAICN = inRoot('bin/daicn.js')

export const daicn = (args: string[], where: Surroundings, input?: string): Promise<Ended> =>
  start(process.execPath, [DAICN, ...args], where, input).ended

/** A code block of a page: what language it is in, and what it must print if the page says so. */
export type Block = { language: string; code: string; line: number; prints: string | undefined }

/** The code blocks of a page; one marked `text` is what the one before it prints. */
export function blocksOf(page: string): Block[] {
  const blocks: Block[] = []
  for (const { 1: language, 2: code, index } of page.matchAll(/^```(\w+)\n(.*?)^```$/gms)) {
    const line = page.slice(0, index).split('\n').length
    if (language === 'text') blocks.at(-1)!.prints = code
    else blocks.push({ language: language!, code: code!, line, prints: undefined })
  }
  return blocks
}

/** A line of dots stands for any lines. */
export function asPattern(prints: string): RegExp {
  const literal = prints.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
  return new RegExp(`^${literal.replace(/^\\\.\\\.\\\.$/gm, '[\\s\\S]*')}$`)
}
