import * as fc from 'fast-check';
import { COMMAND_ELEMENT, COMMAND_FIELD, encodeCommandSet } from '../dimse/command-set.ts';
import { MessageAssembler } from '../dimse/message-assembler.ts';
import { DimseError } from '../errors/dimse-error.ts';
import { encodeFileMeta } from '../part10/encode-file-meta.ts';
import { parseFileMeta } from '../part10/file-meta.ts';
import { parseTolerantly } from '../part10/tolerant-meta.ts';
import { decodePdu } from '../pdu/decode-pdu.ts';
import { encodePdu } from '../pdu/encode-pdu.ts';
import { PduStream } from '../pdu/pdu-stream.ts';
import { arbitraryPdu } from './arbitrary-pdu.ts';
import { mutate } from './mutate.ts';
import { Random } from './random.ts';

/** Result of a run; throws at the first finding, with the seed and the case that reproduce it. */
export interface FuzzReport {
  readonly cases: number;
  /** How often each code was thrown; `accepted` where nothing was. */
  readonly outcomes: Readonly<Record<string, number>>;
  /** The maximum allocation of one case in addition to the input itself. */
  readonly maxAllocatedBytes: number;
  readonly slowestMs: number;
}

const LIMITS = { maxPDataBytes: 131_072, maxAssociateBytes: 1024 * 1024 };
/** Decoders may copy their input only a few times. */
const ALLOWED_FACTOR = 8;
const ALLOWED_BASE_BYTES = 16 * 1024;
const ALLOWED_MS = 60_000;

/** Complete PDUs of every kind, complete messages, and beginnings of files: the input for mutation. */
function makeCorpus(seed: number): { pdus: Buffer[]; files: Buffer[] } {
  const pdus = fc.sample(arbitraryPdu, { numRuns: 400, seed }).map(encodePdu);
  for (const commandField of Object.values(COMMAND_FIELD)) {
    const data = encodeCommandSet([
      [COMMAND_ELEMENT.affectedSopClassUid, '1.2.840.10008.5.1.4.1.1.2'],
      [COMMAND_ELEMENT.commandField, commandField],
      [COMMAND_ELEMENT.messageId, 7],
      [COMMAND_ELEMENT.messageIdBeingRespondedTo, 7],
      [COMMAND_ELEMENT.commandDataSetType, 0x0101],
      [COMMAND_ELEMENT.status, 0],
      [COMMAND_ELEMENT.affectedSopInstanceUid, '2.25.1'],
    ]);
    pdus.push(encodePdu({ type: 'p-data-tf', values: [{ contextId: 1, isCommand: true, isLast: true, data }] }));
  }
  const fields = { sopClassUid: '1.2.840.10008.5.1.4.1.1.2', sopInstanceUid: '2.25.1', transferSyntaxUid: '1.2' };
  const file = Buffer.concat([encodeFileMeta(fields), Buffer.alloc(64)]).subarray(124);
  return { pdus, files: [file] };
}

/** Runs the decoders over `cases` mutated inputs. */
export function fuzzDecoders(cases: number, seed: number, onProgress?: (done: number) => void): FuzzReport {
  const random = new Random(seed);
  const { pdus, files } = makeCorpus(seed);
  const outcomes: Record<string, number> = {};
  const allocations = watchAllocations();
  let maxAllocatedBytes = 0;
  let slowestMs = 0;
  try {
    for (let index = 0; index < cases; index += 1) {
      const isFile = random.below(20) === 0;
      const from = isFile ? files : pdus;
      const bytes = mutate(from[random.below(from.length)] ?? Buffer.alloc(0), random);
      const input = isFile ? Buffer.concat([Buffer.alloc(124), bytes]) : bytes;
      const cut = input.length > 1 ? 1 + random.below(input.length - 1) : 0;
      allocations.reset();
      const begun = performance.now();
      const outcome = isFile ? tryFile(input) : tryPdus([input.subarray(0, cut), input.subarray(cut)]);
      const tookMs = performance.now() - begun;
      outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
      maxAllocatedBytes = Math.max(maxAllocatedBytes, allocations.bytes);
      slowestMs = Math.max(slowestMs, tookMs);
      const where = (): string => `seed ${seed}, case ${index}, input ${input.toString('hex').slice(0, 2000)}`;
      if (outcome.startsWith('crash')) throw new Error(`${outcome}: ${where()}`);
      if (allocations.bytes > ALLOWED_FACTOR * input.length + ALLOWED_BASE_BYTES) {
        throw new Error(`${allocations.bytes} bytes were allocated for ${input.length}: ${where()}`);
      }
      if (tookMs > ALLOWED_MS) throw new Error(`it took ${tookMs} ms: ${where()}`);
      if (index % 100_000 === 99_999) onProgress?.(index + 1);
    }
  } finally {
    allocations.restore();
  }
  return { cases, outcomes, maxAllocatedBytes, slowestMs };
}

function tryPdus(chunks: readonly Buffer[]): string {
  const assembler = new MessageAssembler({
    onCommand: (_context, command) => {
      // The accesses of an association to a command.
      void command.hasDataSet;
      for (const element of Object.values(COMMAND_ELEMENT)) {
        command.uint16(element);
        command.text(element);
      }
      return { write() {}, end() {} };
    },
  });
  const stream = new PduStream(
    {
      onPdu: (type, body) => void decodePdu(type, body),
      onPDataStart() {},
      onPDataPiece: (contextId, control, piece, isEnd) => assembler.onPiece(contextId, control, piece, isEnd),
    },
    LIMITS,
  );
  return outcomeOf(() => {
    for (const chunk of chunks) stream.push(chunk);
  });
}

function tryFile(bytes: Buffer): string {
  const tolerant = outcomeOf(() => void parseTolerantly(bytes, true, { transferSyntaxUid: '1.2.840.10008.1.2.1' }));
  return tolerant.startsWith('crash') ? tolerant : outcomeOf(() => void parseFileMeta(bytes, true));
}

function outcomeOf(act: () => void): string {
  try {
    act();
    return 'accepted';
  } catch (error) {
    return error instanceof DimseError ? error.code : `crash: ${String(error)}`;
  }
}

/** Counts the calls of the three ways in which decoders allocate memory. */
function watchAllocations(): { readonly bytes: number; reset(): void; restore(): void } {
  const { alloc, allocUnsafe, concat } = Buffer;
  let bytes = 0;
  Buffer.alloc = (size: number, ...rest: never[]) => {
    bytes += size;
    return alloc(size, ...rest);
  };
  Buffer.allocUnsafe = (size: number) => {
    bytes += size;
    return allocUnsafe(size);
  };
  Buffer.concat = ((list: readonly Uint8Array[], length?: number) => {
    bytes += length ?? list.reduce((sum, part) => sum + part.length, 0);
    return concat(list, length);
  }) as typeof concat;
  return {
    get bytes() {
      return bytes;
    },
    reset() {
      bytes = 0;
    },
    restore() {
      Object.assign(Buffer, { alloc, allocUnsafe, concat });
    },
  };
}
