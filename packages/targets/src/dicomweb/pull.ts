import type { Puller } from '@dicom-dispatch/target-kit';
import { findStudies } from './find.ts';
import { retrieveStudy } from './retrieve.ts';
import type { DicomwebTarget } from './schema.ts';

/** Find by QIDO-RS, retrieve by WADO-RS. */
export const dicomwebPuller: Puller<DicomwebTarget> = { find: findStudies, retrieve: retrieveStudy };
