import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { defineConfig, type DefaultTheme } from 'vitepress';

/** The documents of this folder as a site: `./dispatch docs`. Links that lead nowhere fail the build. */

const docs = fileURLToPath(new URL('..', import.meta.url));
const hasReference = existsSync(join(docs, 'api/README.md'));

/** A page of the menu, by the title that it gives itself. */
function page(file: string): DefaultTheme.SidebarItem {
  const title = /^# (.+)$/m.exec(readFileSync(join(docs, file), 'utf8'))?.[1] ?? file;
  return { text: title.replaceAll('`', ''), link: `/${file.replace(/(README)?\.md$/, '')}` };
}

const pagesOf = (folder: string): DefaultTheme.SidebarItem[] =>
  readdirSync(join(docs, folder))
    .filter((file) => file.endsWith('.md') && file !== 'README.md')
    .sort()
    .map((file) => page(`${folder}/${file}`));

/** Each page is in one of these chapters; pages without a chapter are last. */
const chapters: [title: string, files: string[]][] = [
  [
    'Set up',
    ['deployment.md', 'configuration.md', 'rules.md', 'orthanc-plugin.md', 'redis.md', 'capacity.md', 'security.md'],
  ],
  ['Every day', ['operations.md', 'by-hand.md', 'pull.md', 'failure-modes.md', 'command-line.md', 'glossary.md']],
  ['What it promises', ['reliability.md', 'performance.md', 'conformance.md']],
  ['How it is built', ['architecture.md', 'delivery-life.md', 'newcomers-trial.md']],
];
const placed = new Set(['index.md', ...chapters.flatMap(([, files]) => files)]);
const others = readdirSync(docs).filter((file) => file.endsWith('.md') && !placed.has(file));

export default defineConfig({
  title: 'dicom-dispatch',
  description: 'Every study that Orthanc receives, whole, to every target',
  cleanUrls: true,
  rewrites: { 'decisions/README.md': 'decisions/index.md', 'api/README.md': 'api/index.md' },
  // What names files beside this folder (README, packages) leads out of the site.
  ignoreDeadLinks: [/^(\.\/)?(\.\.\/)+/, ...(hasReference ? [] : [/\/api\//])],
  themeConfig: {
    search: { provider: 'local' },
    outline: [2, 3],
    nav: [
      { text: 'Documents', link: '/configuration' },
      { text: 'Targets', link: '/targets/dicom' },
      ...(hasReference ? [{ text: 'Reference of the packages', link: '/api/' }] : []),
    ],
    sidebar: {
      '/': [
        ...chapters.map(([text, files]) => ({ text, items: files.map(page) })),
        ...(others.length > 0 ? [{ text: 'More', items: others.map(page) }] : []),
        { text: 'Targets', collapsed: true, items: pagesOf('targets') },
        { text: 'Decisions', collapsed: true, items: [page('decisions/README.md'), ...pagesOf('decisions')] },
      ],
    },
  },
});
