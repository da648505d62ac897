import { OrthancError } from '../orthanc-error.ts';
import type { CallName } from '../translate-error.ts';
import { readStart } from './read-bounded.ts';
import type { ByteStream } from './transport.ts';

/** Media types in which Orthanc and proxies send DICOM files. */
const dicomTypes: ReadonlySet<string> = new Set([
  '',
  'application/dicom',
  'application/octet-stream',
  'binary/octet-stream',
]);

/**
 * The same response, if it is a DICOM file: not an HTML page of a proxy, and not empty. Without a length it fails at its end
 * if nothing arrived.
 *
 * @throws OrthancError `protocol` if the response is not from Orthanc; `unsupported` if Orthanc returned an empty
 * file, which means that it cannot write one (seen in 1.10.1)
 */
export async function expectDicom<S extends ByteStream>(stream: S, call: CallName): Promise<S> {
  const { contentType, sizeBytes } = stream;
  const mediaType = (contentType ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';
  if (!dicomTypes.has(mediaType)) {
    await leave(stream);
    throw problem('protocol', call, `the answer is ${mediaType.slice(0, 80)}, not DICOM; check what answers at url`);
  }
  if (sizeBytes === 0) {
    await leave(stream);
    throw empty(call, mediaType);
  }
  return sizeBytes === undefined ? { ...stream, body: notEmpty(stream.body, call, mediaType) } : stream;
}

async function* notEmpty(
  body: AsyncIterable<Uint8Array>,
  call: CallName,
  mediaType: string,
): AsyncGenerator<Uint8Array, undefined> {
  let isEmpty = true;
  for await (const chunk of body) {
    if (chunk.length > 0) isEmpty = false;
    yield chunk;
  }
  if (isEmpty) throw empty(call, mediaType);
}

/** Ends the connection of a body: a generator that was never started would leave it open. */
async function leave({ body }: ByteStream): Promise<void> {
  await readStart(body, 0);
}

function empty(call: CallName, mediaType: string): OrthancError {
  return mediaType === 'application/dicom'
    ? problem('unsupported', call, 'Orthanc answered with an empty file: it cannot write what was asked for')
    : problem('protocol', call, 'the answer is empty, not DICOM; check what answers at url');
}

function problem(code: 'protocol' | 'unsupported', call: CallName, text: string): OrthancError {
  return new OrthancError(code, `${call.method} ${call.path}: ${text}`, {
    ...call,
    status: 200,
    isOrthancAnswer: code === 'unsupported',
  });
}
