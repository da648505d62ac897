import { expect, it } from 'vitest';
import { isDimseError } from '../errors/dimse-error.ts';
import { COMMAND_ELEMENT, COMMAND_FIELD, HAS_DATA_SET, NO_DATA_SET, encodeCommandSet } from './command-set.ts';
import { MAX_COMMAND_BYTES, MessageAssembler } from './message-assembler.ts';

const DATA_SET = 0;
const COMMAND = 1;
const LAST = 2;

function command(dataSetType: number, comment = ''): Buffer {
  return encodeCommandSet([
    [COMMAND_ELEMENT.commandField, COMMAND_FIELD.storeRq],
    [COMMAND_ELEMENT.commandDataSetType, dataSetType],
    [COMMAND_ELEMENT.errorComment, comment],
  ]);
}

function assemble(isWanted = true): { assembler: MessageAssembler; seen: string[] } {
  const seen: string[] = [];
  const assembler = new MessageAssembler({
    onCommand(contextId, { commandField, hasDataSet }) {
      seen.push(`${contextId}: ${commandField}${hasDataSet ? ' with a data set' : ''}`);
      if (!isWanted) return undefined;
      return { write: (piece) => void seen.push(piece.toString('hex')), end: () => void seen.push('end') };
    },
  });
  return { assembler, seen };
}

/** The error of an act, as code and text. */
function errorOf(act: () => void): string {
  try {
    act();
  } catch (error) {
    return isDimseError(error) ? `${error.code} (${error.abort?.reason}): ${error.message}` : String(error);
  }
  return 'none';
}

it('a message is put together from pieces of values, and its data set passed on as it arrives', () => {
  const { assembler, seen } = assemble();
  const bytes = command(HAS_DATA_SET);
  expect(assembler.isMidMessage).toBe(false);
  // A value that is cut by the network: its last bit counts at its end.
  assembler.onPiece(3, COMMAND | LAST, bytes.subarray(0, 5), false);
  expect(assembler.isMidMessage).toBe(true);
  assembler.onPiece(3, COMMAND, bytes.subarray(5, 9), true);
  expect(seen).toEqual([]);
  assembler.onPiece(3, COMMAND | LAST, bytes.subarray(9), true);
  expect(seen).toEqual(['3: 1 with a data set']);
  assembler.onPiece(3, DATA_SET, Buffer.from('aabb', 'hex'), true);
  assembler.onPiece(3, DATA_SET | LAST, Buffer.alloc(0), false);
  assembler.onPiece(3, DATA_SET | LAST, Buffer.from('cc', 'hex'), false);
  expect(seen.slice(1)).toEqual(['aabb', 'cc']);
  expect(assembler.isMidMessage).toBe(true);
  assembler.onPiece(3, DATA_SET | LAST, Buffer.alloc(0), true);
  expect(seen.slice(1)).toEqual(['aabb', 'cc', 'end']);
  expect(assembler.isMidMessage).toBe(false);
});

it('messages follow each other, on any context, with a data set or without', () => {
  const { assembler, seen } = assemble();
  assembler.onPiece(1, COMMAND | LAST, command(NO_DATA_SET), true);
  expect(assembler.isMidMessage).toBe(false);
  assembler.onPiece(5, COMMAND | LAST, command(HAS_DATA_SET), true);
  assembler.onPiece(5, DATA_SET | LAST, Buffer.of(1), true);
  assembler.onPiece(7, COMMAND | LAST, command(NO_DATA_SET), true);
  expect(seen).toEqual(['1: 1', '5: 1 with a data set', '01', 'end', '7: 1']);
});

it('the data set of a command without a handler is dropped', () => {
  const { assembler, seen } = assemble(false);
  assembler.onPiece(1, COMMAND | LAST, command(HAS_DATA_SET), true);
  assembler.onPiece(1, DATA_SET, Buffer.of(1), true);
  assembler.onPiece(1, DATA_SET | LAST, Buffer.of(2), true);
  assembler.onPiece(1, COMMAND | LAST, command(NO_DATA_SET), true);
  expect(seen).toEqual(['1: 1 with a data set', '1: 1']);
});

it('what cannot follow is a protocol error', () => {
  const data = assemble().assembler;
  expect(errorOf(() => data.onPiece(1, DATA_SET | LAST, Buffer.of(1), true))).toBe(
    'protocol-error (unexpected-pdu-parameter): the peer sent a data set fragment without a command',
  );
  const cut = assemble().assembler;
  cut.onPiece(1, COMMAND, Buffer.of(0), true);
  expect(errorOf(() => cut.onPiece(1, DATA_SET, Buffer.of(1), true))).toContain('without a command');
  const twice = assemble().assembler;
  twice.onPiece(1, COMMAND | LAST, command(HAS_DATA_SET), true);
  expect(errorOf(() => twice.onPiece(1, COMMAND | LAST, command(NO_DATA_SET), true))).toBe(
    'protocol-error (unexpected-pdu-parameter): the peer sent a command fragment inside a data set',
  );
  const other = assemble().assembler;
  other.onPiece(1, COMMAND | LAST, command(HAS_DATA_SET), true);
  expect(errorOf(() => other.onPiece(3, DATA_SET, Buffer.of(1), true))).toBe(
    'protocol-error (invalid-pdu-parameter-value): a fragment for context 3 inside a message on context 1',
  );
});

it('a command set has at most 64 KiB, in any number of pieces', () => {
  const long = command(NO_DATA_SET, 'x'.repeat(MAX_COMMAND_BYTES - command(NO_DATA_SET).length));
  expect(long.length).toBe(MAX_COMMAND_BYTES);
  for (const size of [1, 100, 65_536]) {
    const { assembler, seen } = assemble();
    for (let at = 0; at < long.length; at += size) {
      const isLast = at + size >= long.length;
      assembler.onPiece(1, isLast ? COMMAND | LAST : COMMAND, long.subarray(at, at + size), true);
    }
    expect(seen).toEqual(['1: 1']);
    // The next one starts from nothing.
    assembler.onPiece(1, COMMAND | LAST, long, true);
    expect(seen).toEqual(['1: 1', '1: 1']);
  }
  const { assembler } = assemble();
  assembler.onPiece(1, COMMAND, long, true);
  expect(errorOf(() => assembler.onPiece(1, COMMAND, Buffer.of(0), true))).toBe(
    'limit-exceeded (invalid-pdu-parameter-value): received a command set of more than 65536 bytes',
  );
});
