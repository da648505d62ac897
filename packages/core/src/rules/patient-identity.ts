/**
 * Whose a study is: Patient ID (0010,0020) with Issuer of Patient ID (0010,0021) and Universal Entity ID (0040,0032) and its
 * type (0040,0033) of the Issuer of Patient ID Qualifiers Sequence (0010,0024), PS3.3 section C.2.3. What is empty is ''.
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
 * What speaks against two studies being of one patient; undefined when nothing does. Two studies that name no issuer agree; one
 * that names an issuer and one that names none do not.
 *
 * @param other - of an answer that may not say everything: what is undefined there is not compared
 * @returns words without patient data
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
