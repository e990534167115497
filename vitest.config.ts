import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/support/global-setup.ts'],
    env: { POWERTOOLS_LOG_LEVEL: 'SILENT', POWERTOOLS_METRICS_DISABLED: 'true', AWS_REGION: 'eu-west-1' },
    testTimeout: 30_000,
    hookTimeout: 120_000,
    // Two workers on two cores: the servers under test need the rest.
    maxWorkers: 2,
  },
})
