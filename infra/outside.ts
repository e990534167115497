import { env } from '../lib/platform/names.ts'

/** Where the third parties are. The local cloud puts its simulators in their place. */
const outsideAddresses: Readonly<Record<string, string>> = {
  [env.genderizeUrl]: 'https://api.genderize.io',
  [env.agifyUrl]: 'https://api.agify.io',
  [env.nationalizeUrl]: 'https://api.nationalize.io',
  [env.geminiUrl]: 'https://generativelanguage.googleapis.com',
  [env.resendUrl]: 'https://api.resend.com',
}

/** Those that the variables name, as an environment. */
export function addresses(...variables: string[]): Record<string, string> {
  return Object.fromEntries(variables.map((variable) => [variable, outsideAddresses[variable] ?? '']))
}
