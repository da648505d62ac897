import type { InstanceBytes } from '@dicom-dispatch/core';

/** Destination of pulled instances. */
export interface PullDestination {
  /** Whether it has the complete instance. */
  has(sopInstanceUid: string, seriesInstanceUid?: string): boolean | Promise<boolean>;
  /** Whether an instance of this name can be stored; default all. */
  canKeep?(sopInstanceUid: string): boolean;
  /** Resolves when it has stored the complete instance; an interrupted write leaves nothing that looks complete. */
  store(sopInstanceUid: string, instance: InstanceBytes, seriesInstanceUid?: string): Promise<void>;
  close(): Promise<void>;
}
