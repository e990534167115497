import { createHash } from 'node:crypto'
import { env } from '../../../lib/platform/names.ts'
import type { SimulatedAnswer, SimulatedRequest, Simulator } from './simulator.ts'

/** A name with one of these words in it is unknown to the service; `Nobody` is to all three. */
const unknown = { genderize: 'nogender', agify: 'noage', nationalize: 'nocountry', all: 'nobody' } as const
type Service = Exclude<keyof typeof unknown, 'all'>

const countries = ['NG', 'KE', 'GH', 'ZA', 'ET', 'TZ', 'UG', 'AO', 'BJ', 'FR', 'GB', 'US', 'IN', 'BR', 'DE']

/** Genderize, Agify and Nationalize: what they say depends on the name alone. https://genderize.io/documentation */
export const demographics: readonly Simulator[] = [
  simulator('genderize', env.genderizeUrl, (name, draw) =>
    draw === undefined
      ? { count: 0, name, gender: null, probability: 0 }
      : {
          count: 100 + draw(0, 900_000),
          name,
          gender: draw(1, 2) === 0 ? 'male' : 'female',
          probability: (50 + draw(2, 51)) / 100,
        },
  ),
  simulator('agify', env.agifyUrl, (name, draw) =>
    draw === undefined
      ? { count: 0, name, age: null }
      : { count: 100 + draw(3, 90_000), name, age: 1 + draw(4, 90) },
  ),
  simulator('nationalize', env.nationalizeUrl, (name, draw) => {
    if (draw === undefined) return { count: 0, name, country: [] }
    const first = draw(5, countries.length)
    const country = [0.4, 0.2, 0.1].map((share, place) => ({
      country_id: countries[(first + place * 4) % countries.length],
      probability: Math.round(1000 * (share + draw(6 + place, 100) / 1000)) / 1000,
    }))
    return { count: 100 + draw(9, 90_000), name, country }
  }),
]

/** A whole number from 0 below `many`; the same for the same name and place. */
type Draw = (place: number, many: number) => number

function simulator(
  service: Service,
  variable: string,
  tell: (name: string, draw: Draw | undefined) => object,
): Simulator {
  const answer = ({ method, query }: SimulatedRequest): SimulatedAnswer => {
    if (method !== 'GET') return { status: 404, body: { error: 'Not found' } }
    const name = query.get('name')
    if (name === null) return { status: 422, body: { error: "Missing 'name' parameter" } }
    const words = name.toLowerCase().split(/\s+/)
    const isUnknown = words.includes(unknown[service]) || words.includes(unknown.all) || name.trim() === ''
    return { status: 200, body: tell(name, isUnknown ? undefined : drawer(name)) }
  }
  return { prefix: `/${service}`, variable, answer }
}

function drawer(name: string): Draw {
  const digest = createHash('sha256').update(name.trim().toLowerCase()).digest()
  return (place, many) => digest.readUInt16BE(place * 2) % many
}
