import { defineConfig } from 'vitest/config'

/** A run that must end as failed, with the set-up of all others. */
export default defineConfig({
  test: {
    root: import.meta.dirname,
    include: ['*.fixture.ts'],
    globalSetup: ['../global-setup.ts'],
  },
})
