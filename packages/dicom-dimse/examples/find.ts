/** Lists the studies of a patient. node examples/find.ts HOST PORT CALLED_AE_TITLE PATIENT_ID */
import { TRANSFER_SYNTAX, UID, connect } from 'dicom-dimse';
import { findDataSets } from 'dicom-dimse/dataset';

const [host = 'localhost', port = '104', calledAeTitle = 'ANY_SCP', patientId = ''] = process.argv.slice(2);

await using association = await connect({
  host,
  port: Number(port),
  callingAeTitle: 'EXAMPLE',
  calledAeTitle,
  presentationContexts: [
    { abstractSyntax: UID.studyRootFind, transferSyntaxes: [TRANSFER_SYNTAX.explicitVrLittleEndian] },
  ],
});
const query = { QueryRetrieveLevel: 'STUDY', PatientID: patientId, StudyInstanceUID: '', StudyDate: '' };
for await (const study of findDataSets(association, { sopClassUid: UID.studyRootFind, query })) {
  console.log(study['StudyInstanceUID'], study['StudyDate']);
  // Leaving this loop early sends a C-CANCEL.
}
