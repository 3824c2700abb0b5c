/** Writes what starts the agent with the machine: a systemd unit of the user, or a launchd file. Starts nothing. */
import { mkdir, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { loadSettings } from '../settings.ts'

const NAME = 'daicn-agent'
const LABEL = 'network.daicn.agent'

export type Unit = { file: string; text: string; next: string[] }

/** @returns the exit code */
export async function install(state: string): Promise<number> {
  // What it is to do stands in agent.toml, so that it can be changed without another unit.
  loadSettings({ state })
  const { file, text, next } = unitFor(process.platform, homedir(), commandOf(resolve(state)))
  await mkdir(dirname(file), { recursive: true })
  await writeFile(file, text)
  process.stdout.write(
    `${file} is written. To start it now and with the machine:\n\n${next.map((line) => `  ${line}\n`).join('')}`,
  )
  return 0
}

const commandOf = (state: string): string[] => [
  process.execPath,
  resolve(process.argv[1]!),
  'run',
  '--state',
  state,
  '--log',
  'pretty',
]

export function unitFor(platform: NodeJS.Platform, home: string, command: string[]): Unit {
  if (platform === 'linux') {
    const file = join(home, '.config', 'systemd', 'user', `${NAME}.service`)
    return {
      file,
      text: systemd(command),
      next: ['systemctl --user daemon-reload', `systemctl --user enable --now ${NAME}`, 'loginctl enable-linger'],
    }
  }
  if (platform === 'darwin') {
    const file = join(home, 'Library', 'LaunchAgents', `${LABEL}.plist`)
    return {
      file,
      text: launchd(command, join(home, 'Library', 'Logs', `${NAME}.log`)),
      next: [`launchctl load -w '${file}'`],
    }
  }
  throw new Error(`this system (${platform}) is not known: start "${command.join(' ')}" by its own means`)
}

/** A day for what runs at a stop would be too long for a machine that shuts down; the agent itself gives back after seconds. */
function systemd(command: string[]): string {
  return `[Unit]
Description=DAICN provider's agent
After=network-online.target
Wants=network-online.target

[Service]
ExecStart=${command.map(systemdWord).join(' ')}
Restart=on-failure
RestartSec=5
TimeoutStopSec=30
KillMode=mixed

[Install]
WantedBy=default.target
`
}

/** By systemd's own rules for quoting; % and $ would be replaced. */
const systemdWord = (word: string) =>
  `"${word.replace(/[\\"]/g, '\\$&').replaceAll('%', '%%').replaceAll('$', '$$$$')}"`

function launchd(command: string[], log: string): string {
  const word = (text: string) =>
    `    <string>${text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')}</string>`
  return `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
  <key>Label</key>
${word(LABEL).slice(2)}
  <key>ProgramArguments</key>
  <array>
${command.map(word).join('\n')}
  </array>
  <key>RunAtLoad</key>
  <true/>
  <key>KeepAlive</key>
  <dict>
    <key>SuccessfulExit</key>
    <false/>
  </dict>
  <key>StandardOutPath</key>
${word(log).slice(2)}
  <key>StandardErrorPath</key>
${word(log).slice(2)}
</dict>
</plist>
`
}
