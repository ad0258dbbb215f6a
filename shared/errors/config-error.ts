/** What the operator gave cannot be used: a flag, a file, an address. The process prints the message and exits 2. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}
