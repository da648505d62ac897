import type { Disposition, ErrorCode, Stage, TargetConfig } from '@dicom-dispatch/core';
import type { TargetHandler } from '@dicom-dispatch/target-kit';
import type { FixtureStudy } from './fixture-study.ts';
import type { Part10Facts } from './part10-facts.ts';

/** A running real server, and how to read its content. */
export interface StartedTarget {
  /** The options that an operator would write, secrets as `Secret`; the handler's schema parses them. */
  readonly config: Readonly<Record<string, unknown>>;
  /** All stored instances, complete or not; those that certainly belong to another study may be omitted. */
  received(study: FixtureStudy): Promise<readonly Part10Facts[]>;
  /** Paths, keys or names of everything stored, including anything that a handler might have left behind. */
  names?(): Promise<readonly string[]>;
  /** Temporary files, unfinished uploads and the like. */
  litter?(): Promise<readonly string[]>;
  /** Changes when anything there changes: times of change, versions, counters. */
  fingerprint?(): Promise<unknown>;
  stop(): Promise<void>;
}

export interface NotApplicable {
  /** Why the test does not apply to this target. */
  readonly notApplicable: string;
}

/** A fault in force. */
export interface ArrangedFault {
  /** Override options of the same name. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** True if these options lead to another place, so that arrived instances are not in the target afterwards. */
  readonly elsewhere?: boolean;
  /** Options for a cancellation while the target hangs: with the default timeouts of the target. */
  readonly patientConfig?: Readonly<Record<string, unknown>>;
  /** Called once, when half of the second instance was read; without it the fault is there from the beginning. */
  strike?(): void | Promise<void>;
  /** Resolves when the fault that `strike` began is in force. Without this function it is in force when `strike` has ended. */
  inForce?(): Promise<void>;
  undo?(): void | Promise<void>;
}

export interface ExpectedFault {
  arrange(target: StartedTarget): ArrangedFault | Promise<ArrangedFault>;
  readonly code: ErrorCode;
  readonly stage: Stage;
  /** The clock is stopped until the fault is in force: what comes before has all the time that it needs. */
  readonly stopsClock?: boolean;
  /** Default: the code's. */
  readonly disposition?: Disposition;
}

/** A way to make one check fail, and no earlier one. */
export interface CheckFault extends Pick<ExpectedFault, 'arrange'> {
  /** The check is skipped instead of failed, because deliveries do not need what it checks. */
  readonly isSkipped?: boolean;
}

export interface HandlerContract<Config extends TargetConfig> {
  readonly name: string;
  readonly handler: TargetHandler<Config>;
  start(): Promise<StartedTarget>;
  /** Whether the target keeps files unchanged, or only data sets (DIMSE writes its own file meta information). */
  readonly keeps?: 'file' | 'dataset';
  readonly faults: {
    readonly 'wrong credentials': ExpectedFault | NotApplicable;
    readonly 'wrong host key': ExpectedFault | NotApplicable;
    readonly full: ExpectedFault | NotApplicable;
    readonly unreachable: ExpectedFault | NotApplicable;
    readonly hangs: ExpectedFault | NotApplicable;
    /** The connection, or its equivalent, breaks during the transfer. */
    readonly cut: ExpectedFault | NotApplicable;
  };
  /** Each check that a healthy target passes, by name, and how it fails. */
  readonly checks: Readonly<Record<string, CheckFault | NotApplicable>>;
  /** Options with which tags are in names, or why there are none. */
  readonly hostile: { readonly config: Readonly<Record<string, unknown>> } | NotApplicable;
  /** Size of the large instance; default 60 MB. */
  readonly largeBytes?: number;
}
