// Stands for the package in bundles: of its index, which is imported late, esbuild keeps 26 KB that nothing calls.
export { InvokeCommand } from '../../node_modules/@aws-sdk/client-lambda/dist-es/commands/InvokeCommand.js'
export { LambdaClient } from '../../node_modules/@aws-sdk/client-lambda/dist-es/LambdaClient.js'
