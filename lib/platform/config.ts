import { ConfigurationError } from './errors.ts'

/** The value of an environment variable. Throws ConfigurationError with its name where it is not set. */
export function requiredEnv(name: string): string {
  const value = process.env[name]
  if (value === undefined || value === '') {
    throw new ConfigurationError(`The environment variable ${name} is not set`)
  }
  return value
}

/** A non-negative whole number from the environment, or `fallback` where the variable is not set. */
export function numberEnv(name: string, fallback: number): number {
  const value = process.env[name]
  if (value === undefined || value === '') return fallback
  const number = Number(value)
  if (!Number.isInteger(number) || number < 0) {
    throw new ConfigurationError(`The environment variable ${name} must be a whole number, not "${value}"`)
  }
  return number
}
