/**
 * Patient identity of a study: Patient ID (0010,0020) with Issuer of Patient ID (0010,0021) and Universal Entity ID
 * (0040,0032) and its type (0040,0033) of the Issuer of Patient ID Qualifiers Sequence (0010,0024), PS3.3 section C.2.3.
 * Empty values are ''.
 */
export interface PatientIdentity {
  readonly patientId: string;
  readonly issuer: string;
  readonly universalEntityId: string;
  readonly universalEntityIdType: string;
}

const parts = {
  patientId: 'Patient ID',
  issuer: 'issuer of its Patient ID',
  universalEntityId: 'universal entity ID of the issuer of its Patient ID',
  universalEntityIdType: 'type of the universal entity ID of the issuer of its Patient ID',
} as const satisfies Record<keyof PatientIdentity, string>;

/**
 * Why two studies cannot belong to one patient; undefined if there is no reason. Two studies without issuer match; one
 * with an issuer and one without do not.
 *
 * @param other - of a possibly incomplete response: undefined values are not compared
 * @returns text without patient data
 */
export function differentPatient(
  study: PatientIdentity,
  other: { readonly [Key in keyof PatientIdentity]: string | undefined },
): string | undefined {
  for (const key of Object.keys(parts) as (keyof PatientIdentity)[]) {
    const theirs = other[key]?.trim();
    if (theirs === undefined || theirs === study[key].trim()) continue;
    if (theirs === '') return `the ${parts[key]} is empty, that of the study is not`;
    return `the ${parts[key]} is another one than that of the study`;
  }
  return undefined;
}
