import { dataset } from '../element.ts';
import type { Attributes, Dataset } from '../element.ts';
import type { SeriesPlan, SeriesShape } from '../plan.ts';

/** The sections of a report: heading and text. */
export type ReportSections = readonly (readonly [code: string, heading: string, text: string])[];

/** An instance to which a report refers. */
export interface Evidence {
  readonly studyInstanceUid: string;
  readonly seriesInstanceUid: string;
  readonly sopClassUid: string;
  readonly sopInstanceUid: string;
}

const usual: ReportSections = [
  ['121060', 'History', 'Synthetic study, made to try a dispatch of images. No patient stands behind it.'],
  ['121070', 'Findings', 'Everything in this document was invented. The numbers of images sent and received agree.'],
  ['121076', 'Conclusions', 'No finding. Suitable for tests.'],
];

/** Basic Text SR documents (PS3.3 section A.35.1; template TID 2000 in shape). */
export function reportSeries(
  shape: SeriesShape,
  sections: ReportSections = usual,
  evidence: readonly Evidence[] = [],
): SeriesPlan {
  return {
    instanceCount: shape.instances,
    attributes: {
      Modality: 'SR',
      SeriesDescription: 'Report',
      ReferencedPerformedProcedureStepSequence: [],
    },
    makeInstance: () => ({
      sopClassUid: '1.2.840.10008.5.1.4.1.1.88.11',
      attributes: {
        CompletionFlag: 'COMPLETE',
        VerificationFlag: 'UNVERIFIED',
        PerformedProcedureCodeSequence: [],
        CurrentRequestedProcedureEvidenceSequence: evidence.length === 0 ? undefined : evidence.map(describeEvidence),
        ValueType: 'CONTAINER',
        ConceptNameCodeSequence: [code('18748-4', 'LN', 'Diagnostic Imaging Report')],
        ContinuityOfContent: 'SEPARATE',
        ContentSequence: sections.map(describeSection),
      },
    }),
  };
}

function describeSection([value, heading, text]: ReportSections[number]): Dataset {
  const inner: Attributes = {
    RelationshipType: 'CONTAINS',
    ValueType: 'TEXT',
    ConceptNameCodeSequence: [code(value, 'DCM', heading)],
    TextValue: text,
  };
  return dataset({
    RelationshipType: 'CONTAINS',
    ValueType: 'CONTAINER',
    ConceptNameCodeSequence: [code(value, 'DCM', heading)],
    ContinuityOfContent: 'SEPARATE',
    ContentSequence: [dataset(inner)],
  });
}

function describeEvidence(evidence: Evidence): Dataset {
  const instance = dataset({
    ReferencedSOPClassUID: evidence.sopClassUid,
    ReferencedSOPInstanceUID: evidence.sopInstanceUid,
  });
  const series = dataset({ ReferencedSOPSequence: [instance], SeriesInstanceUID: evidence.seriesInstanceUid });
  return dataset({ ReferencedSeriesSequence: [series], StudyInstanceUID: evidence.studyInstanceUid });
}

function code(value: string, scheme: string, meaning: string): Dataset {
  return dataset({ CodeValue: value, CodingSchemeDesignator: scheme, CodeMeaning: meaning });
}
