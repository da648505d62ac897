/** Is a DICOM peer there? node examples/echo.ts HOST PORT CALLED_AE_TITLE */
import { DimseError, TRANSFER_SYNTAX, UID, connect } from 'dicom-dimse';

const [host = 'localhost', port = '104', calledAeTitle = 'ANY_SCP'] = process.argv.slice(2);

try {
  await using association = await connect({
    host,
    port: Number(port),
    callingAeTitle: 'EXAMPLE',
    calledAeTitle,
    presentationContexts: [
      { abstractSyntax: UID.verification, transferSyntaxes: [TRANSFER_SYNTAX.implicitVrLittleEndian] },
    ],
    connectTimeoutMs: 5000,
  });
  const { text } = await association.echo();
  console.log(`${text}: ${association.peer.implementationVersionName ?? 'no version told'}`);
} catch (error) {
  if (!(error instanceof DimseError)) throw error;
  // One of a closed list: connect-refused, association-rejected (with error.rejection), tls-untrusted …
  console.error(error.code, error.message);
  process.exitCode = 1;
}
