import { defineConfig } from 'vitest/config'
import { useRunFolder } from './test/support/run-folder.ts'

useRunFolder()

export default defineConfig({
  test: {
    env: {
      POWERTOOLS_LOG_LEVEL: 'SILENT',
      POWERTOOLS_METRICS_DISABLED: 'true',
      AWS_REGION: 'eu-west-1',
      // Seconds a synthesis; the test of cdk-nag turns it on.
      CDK_VALIDATION: 'false',
    },
    testTimeout: 30_000,
    hookTimeout: 120_000,
    // Two workers on two cores: the servers under test need the rest.
    maxWorkers: 2,
    projects: [
      {
        extends: true,
        test: {
          name: 'parts',
          include: ['test/**/*.test.ts'],
          exclude: ['test/e2e/**', 'test/slow/**'],
          globalSetup: ['test/support/global-setup.ts'],
        },
      },
      {
        extends: true,
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          globalSetup: ['test/e2e/assembly.ts'],
          testTimeout: 60_000,
        },
      },
      {
        extends: true,
        test: {
          // What needs a browser, a container, another program or minutes of faults: npm run test:slow.
          name: 'slow',
          include: ['test/slow/**/*.test.ts'],
          globalSetup: ['test/support/global-setup.ts', 'test/e2e/assembly.ts'],
          // Some start two clouds one after the other, each with a synthesis of its own.
          testTimeout: 300_000,
          hookTimeout: 300_000,
        },
      },
    ],
  },
})
