import { env } from '../lib/platform/names.ts'

/** Where the third parties are. The local cloud puts its simulators in their place. */
export const outsideAddresses: Record<string, string> = {
  [env.genderizeUrl]: 'https://api.genderize.io',
  [env.agifyUrl]: 'https://api.agify.io',
  [env.nationalizeUrl]: 'https://api.nationalize.io',
}
