/** A command of `tidal`. */
export interface Command {
  /** One line, for the list of commands. */
  readonly summary: string;
  readonly help: string;
  /** The arguments after the command's words. Throws `ConfigError` for a mistake of the operator. */
  run(args: readonly string[]): Promise<void> | void;
}
