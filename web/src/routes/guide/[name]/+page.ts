import { error } from '@sveltejs/kit'
import { GUIDES } from '../../../../guides.ts'
import type { Rendered } from '../../../../markdown.ts'

const GUIDE_FILES = import.meta.glob<Rendered>('../../../../../docs/*.md', { import: 'default' })

export const entries = () => GUIDES.map(({ name }) => ({ name }))

export async function load({ params: { name } }) {
  if (!GUIDES.some((guide) => guide.name === name)) error(404)
  return { name, guide: await GUIDE_FILES[`../../../../../docs/${name}.md`]!() }
}
