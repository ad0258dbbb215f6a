/** Bytes held for each client address, with a limit for one of them: one client cannot use up what all share. */
export class AddressBytes {
  private readonly limitBytes: number;
  private readonly held = new Map<string, number>();

  /** 0: no limit. */
  constructor(limitBytes: number) {
    this.limitBytes = limitBytes;
  }

  fits(address: string, more: number): boolean {
    return this.limitBytes === 0 || (this.held.get(address) ?? 0) + more <= this.limitBytes;
  }

  add(address: string, bytes: number): void {
    this.held.set(address, (this.held.get(address) ?? 0) + bytes);
  }

  remove(address: string, bytes: number): void {
    const left = (this.held.get(address) ?? 0) - bytes;
    if (left > 0) this.held.set(address, left);
    else this.held.delete(address);
  }
}
