/** Run by dimse-large.test.ts: sends one generated instance, or the file named, and prints what came of it as JSON. */
import { createHash } from 'node:crypto';
import { createReadStream, readFileSync } from 'node:fs';
import { makeLargeInstance } from '@dicom-dispatch/samples';
import { connect } from 'dicom-dimse';

const [port, sizeBytes] = process.argv.slice(2).map(Number) as [number, number];
const [, , , , path = ''] = process.argv;
const instance = makeLargeInstance({ sizeBytes });
const hash = createHash('sha256');

/** Nobody downstream knows the length: an iterable has none. */
async function* hashed(): AsyncGenerator<Buffer> {
  let isFirst = true;
  for await (const chunk of instance) {
    hash.update(isFirst ? chunk.subarray(144 + chunk.readUInt32LE(140)) : chunk);
    isFirst = false;
    yield chunk;
  }
}

const association = await connect({
  host: '127.0.0.1',
  port,
  callingAeTitle: 'LARGE',
  calledAeTitle: 'ANY_SCP',
  presentationContexts: [{ abstractSyntax: instance.sopClassUid, transferSyntaxes: [instance.transferSyntaxUid] }],
});
const { status, dataSetBytes } = await association.store(path === '' ? hashed() : createReadStream(path));
await association.release();
console.log(
  JSON.stringify({
    status,
    dataSetBytes,
    sha256: hash.digest('hex'),
    // Not `resourceUsage().maxRSS`: that begins with what the parent had when it forked.
    peakBytes: Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) * 1024,
  }),
);
