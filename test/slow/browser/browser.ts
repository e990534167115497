import { existsSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { delimiter, join } from 'node:path'
import { chromium } from 'playwright-core'
import { describe } from 'vitest'

const names = ['chromium', 'chromium-browser', 'google-chrome']
const executablePath = (process.env.PATH ?? '')
  .split(delimiter)
  .flatMap((folder) => names.map((name) => join(folder, name)))
  .find((path) => existsSync(path))

const missing = 'there is no Chromium on the PATH'
if (executablePath === undefined) console.warn(`Tests in a browser are skipped: ${missing}`)

/** A `describe` for tests that need a browser; without one on the PATH they are skipped, and say why. */
export function describeInBrowser(name: string, tests: () => void): void {
  const title = executablePath === undefined ? `${name} (skipped: ${missing})` : name
  describe.skipIf(executablePath === undefined)(title, tests)
}

type Sent = { method?: string; headers?: Record<string, string>; body?: string }

/** A Chromium with a page of an origin of its own, on loopback. */
export async function openPage() {
  const server = createServer((_, response) => {
    response.setHeader('content-type', 'text/html')
    response.end('<!doctype html><title>Another origin</title>')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  // Under root, as in a container, Chromium's own sandbox cannot be made.
  const browser = await chromium.launch({ executablePath: executablePath!, args: ['--no-sandbox'] })
  const page = await browser.newPage()
  await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  return {
    page,
    /** A call by the page itself, with what it may see of the response. Rejects where the browser refuses. */
    fetch: (url: string, sent: Sent = {}) =>
      page.evaluate(
        async ({ url, sent }) => {
          const response = await fetch(url, sent)
          const headers = Object.fromEntries(response.headers)
          return { status: response.status, headers, text: await response.text() }
        },
        { url, sent },
      ),
    async close(): Promise<void> {
      await browser.close()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
