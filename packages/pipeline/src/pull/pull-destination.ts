import type { InstanceBytes } from '@dicom-dispatch/core';

/** Where what is pulled goes. */
export interface PullDestination {
  /** Whether it has the instance as a whole. */
  has(sopInstanceUid: string, seriesInstanceUid?: string): boolean | Promise<boolean>;
  /** Whether an instance of this name can be kept; default all. */
  canKeep?(sopInstanceUid: string): boolean;
  /** Resolves when it has it as a whole; what is broken off leaves nothing that looks whole. */
  store(sopInstanceUid: string, instance: InstanceBytes, seriesInstanceUid?: string): Promise<void>;
  close(): Promise<void>;
}
