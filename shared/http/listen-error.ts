/** Why a port cannot be opened, as an operator can fix it. */
import { ConfigError } from '../errors/config-error.ts';
import { messageOf } from '../errors/errors.ts';

export function listenError(error: NodeJS.ErrnoException, host: string, port: number): ConfigError {
  const address = `${host}:${port}`;
  switch (error.code) {
    case 'EADDRINUSE':
      return new ConfigError(`cannot listen on ${address}: the port is taken by another process; choose another one`);
    case 'EACCES':
      return new ConfigError(`cannot listen on ${address}: not permitted; ports below 1024 need privileges`);
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return new ConfigError(`cannot listen on ${address}: this machine does not have that address`);
    default:
      return new ConfigError(`cannot listen on ${address}: ${messageOf(error)}`);
  }
}
