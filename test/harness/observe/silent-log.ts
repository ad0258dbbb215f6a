import type { Log } from '../../../shared/observe/log.ts';

export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {} };
