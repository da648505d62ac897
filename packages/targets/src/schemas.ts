import { dummyTarget } from './dummy/schema.ts';

/** The configuration schemas of all built-in target types, without their handlers: quick to load. */
export const targetSchemas = {
  dummy: dummyTarget,
} as const;

export type BuiltInType = keyof typeof targetSchemas;
