/** Sends DICOM files of any size. node examples/send.ts HOST PORT CALLED_AE_TITLE FILE… */
import { createReadStream } from 'node:fs';
import { connect, isDimseError, peekPart10 } from 'dicom-dimse';
import type { PresentationContextRequest } from 'dicom-dimse';

const [host = 'localhost', port = '104', calledAeTitle = 'ANY_SCP', ...files] = process.argv.slice(2);

// One presentation context for each SOP class and transfer syntax, from the file meta alone.
const contexts = new Map<string, PresentationContextRequest>();
for (const file of files) {
  const { meta } = await peekPart10(createReadStream(file, { end: 4095 }));
  contexts.set(`${meta.sopClassUid} ${meta.transferSyntaxUid}`, {
    abstractSyntax: meta.sopClassUid,
    transferSyntaxes: [meta.transferSyntaxUid],
  });
}

const association = await connect({
  host,
  port: Number(port),
  callingAeTitle: 'EXAMPLE',
  calledAeTitle,
  presentationContexts: [...contexts.values()],
});

// Two at a time: the next is ready when the response to the previous one begins (the early byte).
const waiting = [...files];
async function lane(): Promise<void> {
  for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
    try {
      const result = await association.store(createReadStream(file));
      console.log(`${file}: ${result.class}, ${result.text}`);
    } catch (error) {
      // The peer did not accept this SOP class or transfer syntax; the others continue.
      if (!isDimseError(error, 'no-presentation-context')) throw error;
      console.log(`${file}: ${error.message}`);
    }
  }
}
await Promise.all([lane(), lane()]);
await association.release();
