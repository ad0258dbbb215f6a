/** The parts of a message that are transferred instead of copied: the buffers of all its typed arrays, each once. */
export function buffersOf(message: unknown): ArrayBuffer[] {
  const found = new Set<ArrayBuffer>();
  const visit = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return;
    if (ArrayBuffer.isView(value)) {
      if (value.buffer instanceof ArrayBuffer) found.add(value.buffer);
    } else if (Array.isArray(value) || value instanceof Map) {
      for (const element of value.values()) visit(element);
    } else {
      for (const field of Object.values(value)) visit(field);
    }
  };
  visit(message);
  return [...found];
}
