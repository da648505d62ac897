import { typesThatCanBeAsked, typesThatSendParts } from '@dicom-dispatch/core';
import { expect, it } from 'vitest';
import { builtInHandlers } from './built-in.ts';

it('the types that send a study in parts are those whose handlers declare it', async () => {
  const handlers = await Promise.all(Object.values(builtInHandlers).map((load) => load()));
  const declared = handlers.filter(({ sendsParts }) => sendsParts).map(({ type }) => type);
  expect(declared.sort()).toEqual([...typesThatSendParts].sort());
});

it('the types that support search are those whose handlers do', async () => {
  const handlers = await Promise.all(Object.values(builtInHandlers).map((load) => load()));
  const declared = handlers.map(({ type, pull }) => [type, pull !== undefined]);
  expect(Object.fromEntries(declared)).toEqual(typesThatCanBeAsked);
});
