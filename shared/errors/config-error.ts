/** An input of the operator is invalid: a flag, a file, an address. The process prints the message and exits 2. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}
