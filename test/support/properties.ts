import * as fc from 'fast-check'

/**
 * fast-check with one seed, so that the same tree passes or fails the same everywhere. PROPERTY_SEED draws others:
 * a number, or `random`.
 */
const { PROPERTY_SEED } = process.env
if (PROPERTY_SEED !== 'random') fc.configureGlobal({ seed: Number(PROPERTY_SEED ?? 20_261_128) })

export { fc }
