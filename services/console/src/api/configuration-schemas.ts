import { z } from 'zod';

export const configurationView = z.object({
  file: z.string(),
  digest: z.string(),
  text: z.string().describe('YAML, as it is written'),
  editing: z.boolean().describe('whether changes may be applied here: console.editing, and a sign-in'),
});

export const configVersionFacts = z.object({
  number: z.number(),
  at: z.number(),
  author: z.string(),
  reason: z.string(),
  digest: z.string(),
});

export const configVersionView = configVersionFacts.extend({
  text: z.string(),
  patch: z.string().describe('its changes as a unified diff'),
});

export const draftView = z.object({
  seen: z.string().describe('digest of its text and of the decisions on deliveries'),
  text: z.string(),
  patch: z.string().describe('the difference to what is in use, as a unified diff'),
  differences: z.array(z.object({ path: z.string(), words: z.string() })),
  changes: z.array(z.object({ at: z.number(), who: z.string(), what: z.string() })),
  problems: z
    .array(z.object({ line: z.number(), path: z.string(), message: z.string() }))
    .describe('why it cannot be applied'),
  warnings: z.array(z.string()),
  isStale: z.boolean().describe('the file was edited by hand in the meantime, in the same lines'),
});
export type DraftView = z.infer<typeof draftView>;

export const appliedChange = z.object({
  version: z.number().optional().describe('absent if it could not be recorded: see notes'),
  answered: z.number().describe('processes that use this configuration; 0: none is running'),
  silent: z.array(z.string()).describe('processes that have not confirmed this configuration'),
  notes: z.array(z.string()).describe('results for waiting deliveries, and further problems'),
  words: z.array(z.string()).describe('all of this as text'),
});

const whyUntried = z.string().optional().describe('why no study was examined');

export const draftPreview = z.object({
  untried: whyUntried,
  studies: z.number().describe('studies examined'),
  isWhole: z.boolean().describe('false: there were more than could be examined'),
  same: z.number(),
  differs: z.number(),
  unknown: z.number().describe('no longer in their source, or not readable at present'),
  byTarget: z.array(z.object({ target: z.string(), added: z.number(), removed: z.number() })),
  priors: z
    .array(
      z.object({
        target: z.string(),
        studies: z.number().describe('studies with at least one prior'),
        priors: z.number().describe('priors that would be sent along'),
        added: z.number().describe('of these, priors that were not chosen when the study was routed'),
        removed: z.number().describe('priors that were chosen then, and would not be now'),
      }),
    )
    .describe('earlier studies of the patients, by target'),
  priorsUnknown: z.number().describe('studies whose priors were not searched, since it would have taken too long'),
  priorsNotes: z
    .array(z.object({ note: z.string(), studies: z.number() }))
    .describe('what the search of priors reported, e.g. an archive that was not queried'),
  examples: z.array(
    z.object({
      source: z.string(),
      studyInstanceUid: z.string(),
      orthancStudyId: z.string(),
      routedAt: z.number(),
      before: z.array(z.string()),
      after: z.array(z.string()),
      priors: z
        .array(
          z.object({
            target: z.string(),
            chosen: z.array(z.object({ studyInstanceUid: z.string(), from: z.string(), why: z.string() })),
            added: z.array(z.string()),
            removed: z.array(z.string()),
            note: z.string().optional(),
          }),
        )
        .optional()
        .describe('earlier studies that would be sent along, by target'),
    }),
  ),
});

export type DraftPreviewView = z.infer<typeof draftPreview>;

export const triedRule = z.object({
  when: z.string(),
  problem: z.string().optional().describe('why it cannot be used'),
  untried: whyUntried,
  conditions: z
    .object({
      join: z.enum(['all', 'any']),
      conditions: z.array(z.object({ subject: z.string(), operator: z.string(), value: z.string() })),
    })
    .optional()
    .describe('form of the expression in the builder; absent if the builder cannot express it'),
  studies: z.number().describe('studies examined'),
  matches: z.number(),
  examples: z.array(
    z.object({
      source: z.string(),
      orthancStudyId: z.string(),
      studyInstanceUid: z.string(),
      matched: z.boolean(),
      because: z.string(),
    }),
  ),
});

export const fieldProblems = z.object({
  problems: z.array(z.object({ field: z.string(), message: z.string() })),
  yaml: z.string().describe('the target as it would be written'),
});
