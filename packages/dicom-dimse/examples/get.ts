/** Fetches a study by C-GET. node examples/get.ts HOST PORT CALLED_AE_TITLE STUDY_UID SOP_CLASS_UID FOLDER */
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { TRANSFER_SYNTAX, UID, connect } from 'dicom-dimse';
import { dataSet } from 'dicom-dimse/dataset';

const [host = '', port = '', calledAeTitle = '', studyUid = '', sopClassUid = '', folder = '.'] = process.argv.slice(2);
const transferSyntaxes = [TRANSFER_SYNTAX.explicitVrLittleEndian];

await using association = await connect({
  host,
  port: Number(port),
  callingAeTitle: 'EXAMPLE',
  calledAeTitle,
  presentationContexts: [
    { abstractSyntax: UID.studyRootGet, transferSyntaxes },
    { abstractSyntax: sopClassUid, transferSyntaxes },
  ],
  // Instances are sent on this association: for their SOP class we are the SCP.
  roles: [{ sopClassUid, scu: false, scp: true }],
  handlers: {
    async store(instance) {
      await pipeline(instance.part10(), createWriteStream(join(folder, `${instance.sopInstanceUid}.dcm`)));
      return 0;
    },
  },
});
const result = await association.get({
  sopClassUid: UID.studyRootGet,
  identifier: dataSet({ QueryRetrieveLevel: 'STUDY', StudyInstanceUID: studyUid }),
  onProgress: ({ completed, remaining }) => console.log(`${completed} here, ${remaining ?? '?'} to come`),
});
console.log(`${result.class}: ${result.completed} instances, ${result.failed} failed`);
