/** Digits that form one number: a longer one would take longer to divide. */
const digitsAtOnce = 512;
/** An integer is exact below this. */
const largestExact = 2 ** 53;

/** Bytes of this number of digits. */
export function packedLength(count: number, base: number): number {
  const rest = count % digitsAtOnce;
  return ((count - rest) / digitsAtOnce) * bytesOf(digitsAtOnce, base) + bytesOf(rest, base);
}

/** Values from 0 to `base - 1` as the digits of numbers: no bit is lost to a base that is not a power of two. */
export function packDigits(values: readonly number[], base: number): Buffer {
  const group = groupOf(base);
  const parts: Buffer[] = [];
  for (let from = 0; from < values.length; from += digitsAtOnce) {
    const some = values.slice(from, from + digitsAtOnce);
    let number = 0n;
    for (let at = Math.floor((some.length - 1) / group) * group; at >= 0; at -= group) {
      const low = some.slice(at, at + group).reduceRight((sum, value) => sum * base + value, 0);
      number = number * BigInt(base ** group) + BigInt(low);
    }
    parts.push(Buffer.from(number.toString(16).padStart(2 * bytesOf(some.length, base), '0'), 'hex'));
  }
  return base === 1 ? Buffer.alloc(0) : Buffer.concat(parts);
}

/** The values that {@link packDigits} was given. @throws RangeError if the bytes are not their number */
export function unpackDigits(bytes: Buffer, count: number, base: number): number[] {
  const group = groupOf(base);
  const scale = BigInt(base ** group);
  const values: number[] = [];
  let from = 0;
  while (values.length < count) {
    const end = Math.min(count, values.length + digitsAtOnce);
    const length = bytesOf(end - values.length, base);
    let number = BigInt(`0x0${bytes.toString('hex', from, from + length)}`);
    from += length;
    while (values.length < end) {
      let low = Number(number % scale);
      number /= scale;
      for (let digit = 0; digit < group && values.length < end; digit += 1) {
        values.push(low % base);
        low = Math.floor(low / base);
      }
      if (values.length === end && (number > 0n || low > 0)) throw new RangeError('a column has other digits');
    }
  }
  return values;
}

/** Bytes of the largest number with this number of digits. */
function bytesOf(count: number, base: number): number {
  const highest = BigInt(base) ** BigInt(count) - 1n;
  return highest === 0n ? 0 : Math.ceil(highest.toString(16).length / 2);
}

/** Digits that are computed together, without large numbers. */
function groupOf(base: number): number {
  let group = 1;
  while (group < digitsAtOnce && base ** (group + 1) < largestExact) group += 1;
  return group;
}
