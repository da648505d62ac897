const maxMetaBytes = 1024 * 1024;

/** A Part 10 file whose first bytes were inspected; the body still has them. */
export interface Peeked {
  readonly sopInstanceUid: string;
  readonly body: AsyncIterable<Uint8Array>;
}

/**
 * Reads the Media Storage SOP Instance UID (0002,0003) from the beginning of a Part 10 file (PS3.10 section 7.1).
 *
 * @returns undefined when the body is no such file
 */
export async function peekSopInstanceUid(body: AsyncIterable<Uint8Array>): Promise<Peeked | undefined> {
  const iterator = body[Symbol.asyncIterator]();
  let head = Buffer.alloc(0);
  for (;;) {
    const sopInstanceUid = readUid(head);
    if (sopInstanceUid === 'none' || head.length > maxMetaBytes) break;
    if (sopInstanceUid !== 'more') return { sopInstanceUid, body: joined(head, iterator) };
    const { done, value } = await iterator.next();
    if (done) break;
    head = Buffer.concat([head, value]);
  }
  await iterator.return?.();
  return undefined;
}

async function* joined(head: Uint8Array, iterator: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array, void> {
  try {
    yield head;
    for (let step = await iterator.next(); !step.done; step = await iterator.next()) yield step.value;
  } finally {
    await iterator.return?.();
  }
}

/** The UID; `more` if more bytes are needed, `none` if there is none. */
function readUid(head: Buffer): string {
  // Bytes 1-128 preamble, 129-132 prefix, then elements of group 0002 in Explicit VR Little Endian.
  if (head.length < 132) return 'more';
  if (head.toString('latin1', 128, 132) !== 'DICM') return 'none';
  for (let at = 132; ;) {
    if (head.length < at + 12) return 'more';
    if (head.readUInt16LE(at) !== 0x0002) return 'none';
    // These VRs have two reserved bytes and a length of four (PS3.5 section 7.1.2).
    const long = ['OB', 'OW', 'UN', 'UT', 'UC', 'UR', 'SQ'].includes(head.toString('latin1', at + 4, at + 6));
    const start = at + (long ? 12 : 8);
    const end = start + (long ? head.readUInt32LE(at + 8) : head.readUInt16LE(at + 6));
    if (end > maxMetaBytes) return 'none';
    if (head.readUInt16LE(at + 2) === 0x0003) {
      if (head.length < end) return 'more';
      const uid = head.toString('latin1', start, end).replace(/[\0 ]+$/, '');
      return /^[0-9.]{1,64}$/.test(uid) ? uid : 'none';
    }
    at = end;
  }
}
