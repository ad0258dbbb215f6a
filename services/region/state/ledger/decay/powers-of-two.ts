/**
 * 2^x and log2(x) from IEEE addition, multiplication and division alone, so that every engine, version and machine gets the same
 * bits: `Math.pow` and `Math.log2` are approximated differently from engine to engine, and the ledger stores rounded values of
 * 2^x (`decay.ts`).
 *
 * 2^x = 2^i · T[j] · 2^(g/1024) with x = i + (j + g)/1024. T is computed in 128-bit fixed point with BigInt (square
 * roots of 2 and their products) and rounded once to 53 bits; the last factor is its Taylor series to the 4th power.
 * Relative error below 5e-16.
 */

const STEP_BITS = 10;
const STEPS = 1 << STEP_BITS;
const FIXED_BITS = 128n;
const MANTISSA_BITS = 52n;

function integerSquareRoot(square: bigint): bigint {
  let root = 1n << BigInt(Math.ceil(square.toString(2).length / 2));
  for (;;) {
    const next = (root + square / root) >> 1n;
    if (next >= root) return root;
    root = next;
  }
}

/** T[j] = 2^(j/1024), each rounded once to the nearest 64-bit float. */
function buildSteps(): Float64Array {
  const one = 1n << FIXED_BITS;
  const roots: bigint[] = [];
  let root = 2n * one;
  for (let bit = 0; bit < STEP_BITS; bit++) {
    root = integerSquareRoot(root * one);
    roots.push(root);
  }
  const steps = new Float64Array(STEPS);
  const cut = FIXED_BITS - MANTISSA_BITS;
  for (let step = 0; step < STEPS; step++) {
    let product = one;
    for (let bit = 0; bit < STEP_BITS; bit++) {
      if ((step >> (STEP_BITS - 1 - bit)) & 1) product = (product * roots[bit]!) >> FIXED_BITS;
    }
    steps[step] = Number((product + (1n << (cut - 1n))) >> cut) / Number(1n << MANTISSA_BITS);
  }
  return steps;
}

const LOWEST = -1074;
const HIGHEST = 1023;

/** 2^i for every i a 64-bit float can hold, exact. */
function buildWholes(): Float64Array {
  const wholes = new Float64Array(HIGHEST - LOWEST + 1);
  let power = 1;
  for (let exponent = 0; exponent <= HIGHEST; exponent++, power *= 2) wholes[exponent - LOWEST] = power;
  power = 1;
  for (let exponent = 0; exponent >= LOWEST; exponent--, power *= 0.5) wholes[exponent - LOWEST] = power;
  return wholes;
}

/** Exported for the test that pins its bits. */
export const steps: Float64Array = buildSteps();
const wholes = buildWholes();
const LN2_PER_STEP = Math.LN2 / STEPS;
const SIXTH = 1 / 6;
const TWENTY_FOURTH = 1 / 24;

/** 2^x; 0 below the smallest float, Infinity above the largest. */
export function exp2(x: number): number {
  const whole = Math.floor(x);
  if (whole < LOWEST) return 0;
  if (whole > HIGHEST) return Number.POSITIVE_INFINITY;
  const scaled = (x - whole) * STEPS;
  const step = Math.floor(scaled);
  const y = (scaled - step) * LN2_PER_STEP;
  // x − whole can round up to 1 when x is a hair below an integer.
  if (step === STEPS) return 2 * wholes[whole - LOWEST]!;
  return steps[step]! * (1 + y * (1 + y * (0.5 + y * (SIXTH + y * TWENTY_FOURTH)))) * wholes[whole - LOWEST]!;
}

const view = new DataView(new ArrayBuffer(8));

/** log2(x) of a positive normal float, within 4e-16 of it or of 1, whichever is larger: 2·artanh((m−1)/(m+1))/ln 2. */
export function log2(x: number): number {
  view.setFloat64(0, x);
  const high = view.getUint32(0);
  let exponent = (high >>> 20) - 1023;
  view.setUint32(0, (high & 0xfffff) | 0x3ff00000);
  let mantissa = view.getFloat64(0);
  if (mantissa > Math.SQRT2) {
    mantissa *= 0.5;
    exponent += 1;
  }
  const s = (mantissa - 1) / (mantissa + 1);
  const square = s * s;
  let series = 0;
  for (let odd = 23; odd >= 1; odd -= 2) series = series * square + 1 / odd;
  return exponent + (2 * s * series) / Math.LN2;
}
