/** Run by dimse-large.test.ts: sends one generated instance, or the named file, and prints the result as JSON. */
import { createHash } from 'node:crypto';
import { createReadStream, readFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { connect, peekPart10 } from 'dicom-dimse';
import type { ByteSource } from 'dicom-dimse';

const BLOCK_BYTES = 256 * 1024;

const [port, sizeBytes] = process.argv.slice(2).map(Number) as [number, number];
const [, , , , path = ''] = process.argv;
const hash = createHash('sha256');
/** Blocks that were read into and have been sent. */
const free: Buffer[] = [];

/** The length is unknown downstream: an iterable has none. */
async function* generated(): AsyncGenerator<Buffer> {
  // Only if needed: for a file the stack is measured, not the generator of samples.
  const { makeLargeInstance } = await import('@dicom-dispatch/samples');
  let isFirst = true;
  for await (const chunk of makeLargeInstance({ sizeBytes })) {
    hash.update(isFirst ? chunk.subarray(144 + chunk.readUInt32LE(140)) : chunk);
    isFirst = false;
    yield chunk;
  }
}

async function* fromFile(): AsyncGenerator<Buffer> {
  const file = await open(path);
  try {
    for (;;) {
      const block = free.pop() ?? Buffer.allocUnsafeSlow(BLOCK_BYTES);
      const { bytesRead } = await file.read(block, 0, BLOCK_BYTES);
      if (bytesRead === 0) return;
      yield block.subarray(0, bytesRead);
    }
  } finally {
    await file.close();
  }
}

const { meta, source } = await peekPart10(path === '' ? generated() : createReadStream(path, { end: 4095 }));
const sent: ByteSource = path === '' ? source : fromFile();
const association = await connect({
  host: '127.0.0.1',
  port,
  callingAeTitle: 'LARGE',
  calledAeTitle: 'ANY_SCP',
  presentationContexts: [{ abstractSyntax: meta.sopClassUid, transferSyntaxes: [meta.transferSyntaxUid] }],
});
const { status, dataSetBytes } = await association.store(
  sent,
  path === '' ? {} : { releaseChunk: (chunk) => void free.push(Buffer.from(chunk.buffer)) },
);
await association.release();
console.log(
  JSON.stringify({
    status,
    dataSetBytes,
    sha256: hash.digest('hex'),
    // Not `resourceUsage().maxRSS`: this starts with that of the parent when it forked.
    peakBytes: Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) * 1024,
  }),
);
