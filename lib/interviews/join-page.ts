import { hash } from 'node:crypto'

const style = `
:root{color-scheme:light dark}
body{margin:0 auto;max-width:34rem;padding:4rem 1.5rem;font:18px/1.6 system-ui,sans-serif;color:light-dark(#1a1e24,#e6e9ee);background:light-dark(#fff,#14171b)}
h1{font-size:1.6rem;line-height:1.25}
`

/**
 * What an invitation's link shows. The same for everyone: the browser keeps what follows the # to itself, and without
 * a script nothing here can read it.
 */
export const joinPage = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>Your interview</title>
<style>${style}</style>
</head>
<body>
<main>
<h1>This is the address of your interview</h1>
<p>You are in the right place. Your interview is held here, in this browser, with your microphone.</p>
<p>It cannot be joined from this page yet. Please keep the e-mail with your link, and write to the person who invited you if you would like to begin.</p>
</main>
</body>
</html>
`

export const joinPageHeaders = {
  'content-type': 'text/html; charset=utf-8',
  'content-security-policy': [
    "default-src 'none'",
    `style-src 'sha256-${hash('sha256', style, 'base64')}'`,
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; '),
  'permissions-policy': 'microphone=(self)',
  'referrer-policy': 'no-referrer',
  // Another page takes its place one day.
  'cache-control': 'no-cache',
}
