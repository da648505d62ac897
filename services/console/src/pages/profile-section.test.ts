import { parseConfig, Secret, targetOptions, type TargetSchema } from '@dicom-dispatch/core';
import { expect, it } from 'vitest';
import { z } from 'zod';
import { profileSection } from './profile-section.ts';

const disk = z.strictObject({ type: z.literal('disk'), ...targetOptions }) as unknown as TargetSchema;

function pageOf(transforms: object): string | false {
  const parsed = parseConfig(
    {
      sources: { main: { url: 'http://127.0.0.1:8042' } },
      pseudonyms: { secret: new Secret('0123456789abcdef0123456789abcdef') },
      transforms,
      targets: { archive: { type: 'disk' }, research: { type: 'disk', transform: 'anonymous' } },
      rules: [{ name: 'all', targets: ['archive', 'research'] }],
    },
    [disk],
  );
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  const section = profileSection(parsed.config);
  return section && section.text.replaceAll(/<[^>]*>/g, ' ').replaceAll(/\s+/g, ' ');
}

it('shows for each rule what its de-identification meets', () => {
  const text = pageOf({ anonymous: { anonymise: {}, keep: ['PatientSex'] } });
  expect(text).toContain('all research anonymous met for attributes Retain Patient Characteristics Option, in part');
  expect(text).toContain('Clean Pixel Data');
  expect(pageOf({ anonymous: { anonymise: {}, keep: ['StudyDescription'] } })).toContain(
    'not met StudyDescription is kept',
  );
});

it('shows nothing if nothing is de-identified', () => {
  expect(pageOf({ anonymous: { set: { PatientName: 'X' } } })).toBe(false);
});
