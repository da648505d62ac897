import { describe, expect, it } from 'vitest';
import { DimseError } from '../errors/dimse-error.ts';
import { TRANSFER_SYNTAX } from '../uids.ts';
import { ByteQueue } from './byte-queue.ts';
import { CollectingSink } from './collecting-sink.ts';
import { encodeInput } from './data-set-input.ts';
import { encodeFailedList } from './uid-list.ts';
import { hex, unexpectedResponse } from './unexpected-response.ts';

/** A queue of 10 bytes, with what it does to its socket. */
function makeQueue(): { queue: ByteQueue; acts: string[] } {
  const acts: string[] = [];
  const queue = new ByteQueue({ pause: () => acts.push('pause'), resume: () => acts.push('resume') }, 10);
  return { queue, acts };
}

describe('a data set on its way to a handler', () => {
  it('is read in its order, whether it arrives before or after', async () => {
    const { queue, acts } = makeQueue();
    queue.write(Buffer.from('ab'));
    const read = queue[Symbol.asyncIterator]();
    expect((await read.next()).value).toEqual(Buffer.from('ab'));
    const waiting = read.next();
    queue.write(Buffer.from('cd'));
    expect((await waiting).value).toEqual(Buffer.from('cd'));
    const last = read.next();
    queue.end();
    expect(await last).toEqual({ done: true, value: undefined });
    await queue.complete;
    expect(acts).toEqual([]);
  });

  it('pauses the socket at its limit, once, and resumes it below half of it', async () => {
    const { queue, acts } = makeQueue();
    queue.write(Buffer.alloc(9));
    expect(acts).toEqual([]);
    queue.write(Buffer.alloc(1));
    queue.write(Buffer.alloc(3));
    expect(acts).toEqual(['pause']);
    const read = queue[Symbol.asyncIterator]();
    await read.next();
    expect(acts).toEqual(['pause', 'resume']);
    await read.next();
    queue.write(Buffer.alloc(10));
    expect(acts).toEqual(['pause', 'resume', 'pause']);
    await read.next();
    await read.next();
    expect(acts).toEqual(['pause', 'resume', 'pause', 'resume']);
  });

  it('stays paused while half of the limit or more is unread', async () => {
    const { queue, acts } = makeQueue();
    for (let piece = 0; piece < 4; piece += 1) queue.write(Buffer.alloc(5));
    const read = queue[Symbol.asyncIterator]();
    await read.next();
    await read.next();
    await read.next();
    expect(acts).toEqual(['pause']);
    await read.next();
    expect(acts).toEqual(['pause', 'resume']);
  });

  it('that the handler gives up is discarded, and the socket is read on', async () => {
    const { queue, acts } = makeQueue();
    for (let piece = 0; piece < 3; piece += 1) queue.write(Buffer.alloc(10));
    for await (const _ of queue) break;
    expect(acts).toEqual(['pause', 'resume']);
    queue.write(Buffer.alloc(100));
    expect(acts).toEqual(['pause', 'resume']);
    expect(await Array.fromAsync(queue)).toEqual([]);
  });

  it('that fails throws its error after what has arrived, unless it was complete before', async () => {
    const error = new DimseError('aborted', 'x');
    const { queue } = makeQueue();
    queue.write(Buffer.from('a'));
    queue.fail(error);
    await queue.complete;
    const read = queue[Symbol.asyncIterator]();
    expect((await read.next()).value).toEqual(Buffer.from('a'));
    await expect(read.next()).rejects.toBe(error);

    const whole = makeQueue().queue;
    whole.write(Buffer.from('a'));
    whole.end();
    whole.fail(error);
    expect(await Array.fromAsync(whole)).toEqual([Buffer.from('a')]);
  });

  it('that fails wakes a handler which waits', async () => {
    const { queue } = makeQueue();
    const waiting = queue[Symbol.asyncIterator]().next();
    const error = new DimseError('aborted', 'x');
    queue.fail(error);
    await expect(waiting).rejects.toBe(error);
  });
});

describe('a small data set', () => {
  it('is gathered from pieces of any size', () => {
    const ends: string[] = [];
    const sink = new CollectingSink(10, (bytes) => ends.push(bytes.toString()));
    for (const piece of ['a', 'bcd', '', 'efghij']) sink.write(Buffer.from(piece));
    sink.end();
    expect(ends).toEqual(['abcdefghij']);
    new CollectingSink(10, (bytes) => ends.push(bytes.toString())).end();
    expect(ends).toEqual(['abcdefghij', '']);
  });

  it('that exceeds its limit is refused before it is held', () => {
    const sink = new CollectingSink(10, () => {});
    sink.write(Buffer.alloc(6));
    expect(() => sink.write(Buffer.alloc(5))).toThrow(
      expect.objectContaining({
        code: 'limit-exceeded',
        message: 'received a data set of more than 10 bytes (maxDataSetBytes)',
        abort: expect.objectContaining({ reason: 'not-specified' }),
      }),
    );
  });

  it('to send is bytes, or is encoded in the transfer syntax of its context', () => {
    expect(encodeInput(new Uint8Array(Buffer.from('abc')).subarray(1), '1.2')).toEqual(Buffer.from('bc'));
    expect(encodeInput((syntax) => Buffer.from(syntax), '1.2').toString()).toBe('1.2');
  });
});

describe('the list of failed instances of a retrieve', () => {
  const { implicitVrLittleEndian: implicit, explicitVrLittleEndian: explicit } = TRANSFER_SYNTAX;

  it('is encoded in Implicit and Explicit VR, with an even length', () => {
    expect(encodeFailedList(['1.2'], implicit)?.toString('latin1')).toBe('\x08\0\x58\0\x04\0\0\x001.2\0');
    expect(encodeFailedList(['1.2', '3'], explicit)?.toString('latin1')).toBe('\x08\0\x58\0UI\x06\x001.2\\3\0');
    expect(encodeFailedList(['1', '2.3'], implicit)?.length).toBe(14);
    expect(encodeFailedList(['1.23'], explicit)?.toString('latin1')).toBe('\x08\0\x58\0UI\x04\x001.23');
  });

  it('is left out if it is empty, if it is too long, and in other transfer syntaxes', () => {
    expect(encodeFailedList([], implicit)).toBeUndefined();
    expect(encodeFailedList(['1.2'], TRANSFER_SYNTAX.explicitVrBigEndian)).toBeUndefined();
    const of = (length: number): string[] => ['1'.repeat(length)];
    expect(encodeFailedList(of(0xfffe), explicit)).toHaveLength(8 + 0xfffe);
    expect(encodeFailedList(of(0x10000), explicit)).toBeUndefined();
    expect(encodeFailedList(of(0x10000), implicit)).toHaveLength(8 + 0x10000);
  });
});

it('a response that violates the protocol aborts the association', () => {
  expect(unexpectedResponse('it has no status')).toMatchObject({
    code: 'unexpected-response',
    message: 'the peer violated the protocol: it has no status',
    abort: { reason: 'unexpected-pdu-parameter' },
  });
  expect([0, 0x8001, 0xff].map(hex)).toEqual(['0000H', '8001H', '00FFH']);
});
