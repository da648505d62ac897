import { DispatchError, innermostError, localShortage, type ErrorCode, type Stage } from '@dicom-dispatch/core';
import { isDimseError, type DimseError, type DimseErrorCode } from 'dicom-dimse';

const codes = {
  'invalid-argument': 'config-invalid',
  'too-many-presentation-contexts': 'internal',
  'name-not-resolved': 'target-unreachable',
  'connect-refused': 'target-unreachable',
  'connect-unreachable': 'target-unreachable',
  'connect-timeout': 'target-unreachable',
  'connect-failed': 'target-unreachable',
  'local-resources': 'local-resources',
  'tls-untrusted': 'target-tls',
  'tls-expired': 'target-tls',
  'tls-not-yet-valid': 'target-tls',
  'tls-revoked': 'target-tls',
  'tls-host-mismatch': 'target-tls',
  'tls-client-certificate-required': 'target-tls',
  'tls-client-certificate-rejected': 'target-tls',
  'tls-version': 'target-tls',
  'tls-cipher': 'target-tls',
  'tls-weak': 'target-tls',
  'tls-not-spoken': 'target-tls',
  'tls-expected': 'target-tls',
  'tls-closed': 'target-unreachable',
  'tls-material': 'config-invalid',
  'tls-failed': 'target-tls',
  'association-timeout': 'target-timeout',
  'association-rejected': 'target-rejected',
  'association-ended': 'target-connection-lost',
  aborted: 'target-connection-lost',
  'connection-closed': 'target-connection-lost',
  'idle-timeout': 'target-timeout',
  'protocol-error': 'target-error',
  'limit-exceeded': 'target-error',
  'no-presentation-context': 'instance-unsupported',
  'response-timeout': 'target-timeout',
  'send-timeout': 'target-timeout',
  cancelled: 'cancelled',
  'unexpected-response': 'target-error',
  'answer-cut': 'target-error',
  'source-failed': 'source-error',
  'source-not-dicom': 'instance-not-dicom',
  'dataset-invalid': 'target-error',
  'handler-failed': 'internal',
} as const satisfies Record<DimseErrorCode, ErrorCode>;

/**
 * Errors that end a connection before an association is established show that the receiver, or the server behind it, is not
 * available.
 */
const beforeAssociation: ReadonlySet<DimseErrorCode> = new Set([
  'aborted',
  'connection-closed',
  'association-ended',
  'idle-timeout',
]);

/** Translates errors of the DICOM network stack for a delivery; the only place where this is done. */
export function dicomError(thrown: unknown, stage?: Stage): unknown {
  if (!isDimseError(thrown)) return thrown;
  if (thrown.code === 'source-failed' && thrown.cause instanceof DispatchError) return thrown.cause;
  const shortage = thrown.code === 'cancelled' ? undefined : localShortage(innermostError(thrown.cause));
  const remedy = shortage?.remedy ?? remedyOf(thrown, stage);
  return new DispatchError(shortage ? 'local-resources' : codeOf(thrown, stage), textOf(thrown), {
    cause: thrown,
    ...(stage && { stage }),
    ...(remedy !== undefined && { remedy }),
  });
}

/** Options of the network stack that its errors name, as they are called in the configuration; '' if it does not have them. */
const optionNames: Readonly<Record<string, string>> = {
  connectTimeoutMs: 'connectTimeout',
  associationTimeoutMs: 'associationTimeout',
  responseTimeoutMs: 'timeout',
  maxStallMs: '',
  maxMatches: '',
  maxDataSetBytes: '',
  maxValueBytes: '',
};

function textOf({ message }: DimseError): string {
  return message.replaceAll(/ \((\w+)\)/g, (text, option: string) => {
    const name = Object.hasOwn(optionNames, option) ? optionNames[option] : option;
    if (name === option) return text;
    return name ? ` (${name})` : '';
  });
}

function codeOf(error: DimseError, stage: Stage | undefined): ErrorCode {
  // PS3.8 table 9-21: a transient rejection requests a retry, and so do "local limit exceeded" and "temporary congestion".
  if (error.code === 'association-rejected' && error.rejection) {
    const { result, reason } = error.rejection;
    if (result === 'transient' || reason === 'temporary-congestion' || reason === 'local-limit-exceeded')
      return 'target-busy';
  }
  if (stage === 'connect' && beforeAssociation.has(error.code)) return 'target-unreachable';
  return codes[error.code];
}

/** Remedies. They name only existing options. */
const remedies: Readonly<Partial<Record<DimseErrorCode, string>>> = {
  'tls-untrusted': 'Add its certificate authority, or a self-signed certificate itself, to tls.ca.',
  'tls-expired': 'Renew the certificate of the receiver, or set the clock of this machine.',
  'tls-not-yet-valid': 'Compare the clocks of both machines.',
  'tls-revoked': 'Find out why it was revoked; the receiver needs a new certificate.',
  'tls-host-mismatch': 'Set tls.serverName to a name in its certificate, or set tls.verifyHostname: false.',
  'tls-client-certificate-required': 'Set tls.cert and tls.key.',
  'tls-client-certificate-rejected':
    'Configure the receiver to trust the authority of tls.cert, or set another tls.cert and tls.key.',
  'tls-version':
    'Compare tls.minVersion and tls.profile with the TLS versions of the receiver; bcp195 accepts older versions.',
  'tls-cipher':
    'Choose a tls.profile with cipher suites of the receiver. The receiver may also require a client certificate (tls.cert, tls.key).',
  'tls-weak': 'Install a certificate with a longer key at the receiver. Until then, tls.profile: bcp195 accepts it.',
  'tls-not-spoken': 'Set port to its TLS port, or use type: dicom without tls for this port.',
  'tls-expected': 'Set tls for the target, or set port to the port without TLS.',
  'tls-closed': 'Check that this is the TLS port of the receiver, and that it runs.',
  'tls-material': 'Check that tls.cert, tls.key and tls.passphrase belong together, and are PEM.',
};

function remedyOf(error: DimseError, stage: Stage | undefined): string | undefined {
  const remedy = remedies[error.code];
  if (remedy !== undefined) return remedy;
  if (stage !== 'connect') return undefined;
  if (error.code === 'aborted') {
    return 'The receiver accepts connections, but aborts associations. Check its log and both AE titles.';
  }
  if (error.code === 'association-timeout' || beforeAssociation.has(error.code)) {
    return 'The port accepts connections, but no associations. Check that the receiver is running (also behind a load balancer), and whether this port requires TLS.';
  }
  if (error.code === 'protocol-error') return 'The service on this port does not support DICOM. Check the port.';
  return undefined;
}
