export type { SentMail } from './resend.ts'
export { type Simulators, type SimulatorsOptions, startSimulators } from './server.ts'
export type { SimulatedAnswer, SimulatedRequest, Simulator } from './simulator.ts'
export type { Outgoing, SigningSecret } from './webhook-sender.ts'
