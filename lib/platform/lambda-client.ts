// Loaded only when a function is invoked, and apart: of a package that is imported late the bundle keeps everything,
// of this file these two.
export { InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda'
