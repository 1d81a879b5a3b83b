import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  Application,
  Comment,
  type Context,
  Converter,
  LogLevel,
  Logger,
  type PageEvent,
  ParameterReflection,
  type ProjectReflection,
  ReferenceType,
  type Reflection,
  ReflectionKind,
  type TypeDocOptions,
} from 'typedoc';
import { load as markdown, MarkdownPageEvent } from 'typedoc-plugin-markdown';
import { referenceEntries, root } from './reference-entries.ts';

const folder = join(root, 'docs/reference');
const stampFile = join(folder, '.stamp');
const repository = 'https://github.com/star-webgpu/star-webgpu/blob/main';

/** Keeps warnings and errors. */
class FaultLog extends Logger {
  readonly faults: string[] = [];

  override log(message: string, level: LogLevel): void {
    if (level >= LogLevel.Warn) this.faults.push(message);
  }
}

/** Writes docs/reference, the pages of all public names, if sources changed since. @throws Error listing every name without a docstring */
export async function writeReference(): Promise<void> {
  const stamp = stampOfSources();
  if (existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp) return;
  const app = await createApplication();
  const log = new FaultLog();
  app.logger = log;
  const project = await app.convert();
  if (project) app.validate(project);
  if (!project || log.faults.length)
    throw new Error(`reference: every public name must have a docstring, got\n${log.faults.join('\n')}`);
  await app.generateOutputs(project);
  writeFileSync(stampFile, stamp);
}

/** Changes when a page may have. */
function stampOfSources(): string {
  const hash = createHash('sha256').update(readFileSync(fileURLToPath(import.meta.url)));
  for (const name of readdirSync(join(root, 'packages'))) {
    const home = join(root, 'packages', name);
    hash.update(readFileSync(join(home, 'package.json')));
    for (const path of readdirSync(join(home, 'src'), { recursive: true, encoding: 'utf8' }).toSorted())
      if (/(?<!\.test)\.ts$/.test(path)) hash.update(path).update(readFileSync(join(home, 'src', path)));
  }
  return hash.digest('hex');
}

/** TypeDoc with pages for VitePress. */
async function createApplication(): Promise<Application> {
  const app = await Application.bootstrapWithPlugins({ ...sourceOptions(), ...pageOptions });
  app.converter.on(Converter.EVENT_RESOLVE_BEGIN, ({ project }: Context) => {
    nameModules(project);
    leaveOutInherited(project);
    nameParameters(project);
    linkErrors(project);
  });
  app.converter.on(Converter.EVENT_RESOLVE, (_: Context, reflection: Reflection) => keepLines(reflection));
  app.renderer.on(MarkdownPageEvent.END, (page: PageEvent) => {
    page.contents = `${frontmatter}${tidied(page.contents!)}`;
  });
  return app;
}

/** What is read. */
function sourceOptions(): Partial<TypeDocOptions> {
  const entries = referenceEntries();
  return {
    entryPoints: entries.map(({ source }) => source),
    sortEntryPoints: false,
    tsconfig: join(root, 'apps/demo/build/tsconfig.reference.json'),
    // Another gate checks types.
    skipErrorChecking: true,
    plugin: [markdown],
    logLevel: 'Warn',
    name: 'Reference',
    readme: 'none',
    out: folder,
    disableGit: true,
    basePath: root,
    displayBasePath: root,
    sourceLinkTemplate: `${repository}/{path}#L{line}`,
    gitRevision: 'main',
    excludePrivate: true,
    excludeExternals: true,
    groupOrder: ['Functions', 'Classes', 'Variables', 'Interfaces', 'Type Aliases'],
    validation: { notExported: false, invalidLink: true, notDocumented: true },
    requiredToBeDocumented: ['Enum', 'Variable', 'Function', 'Class', 'Interface', 'Method', 'Accessor', 'TypeAlias'],
    packagesRequiringDocumentation: entries.map(({ page }) => `@star-webgpu/${page.split('/')[0]}`),
  };
}

/** What VitePress is told of a page: names alone in its outline. */
const frontmatter = '---\noutline: [2, 3]\npageClass: reference\n---\n\n';

/** How pages look: options of the plugin. */
const pageOptions = {
  router: 'module',
  entryFileName: 'index',
  excludeScopesInPaths: true,
  hidePageHeader: true,
  hideBreadcrumbs: true,
  useCodeBlocks: true,
  expandParameters: true,
  useCustomAnchors: true,
  sanitizeComments: true,
  indexFormat: 'table',
  parametersFormat: 'table',
  propertiesFormat: 'table',
  interfacePropertiesFormat: 'table',
  classPropertiesFormat: 'table',
  typeAliasPropertiesFormat: 'table',
  propertyMembersFormat: 'table',
  typeDeclarationFormat: 'table',
  tableColumnSettings: {
    hideSources: true,
    hideModifiers: true,
    hideInherited: true,
    hideOverrides: true,
    leftAlignHeaders: true,
  },
  pageTitleTemplates: { index: '{projectName}', module: '{name}' },
};

/** Gives modules the names that they are imported by, and what package.json says of them. */
function nameModules(project: ProjectReflection): void {
  const entries = referenceEntries();
  for (const module of project.getChildrenByKind(ReflectionKind.Module)) {
    const found = entries.find(({ source }) => source === module.sources?.[0]?.fullFileName);
    if (!found) continue;
    module.name = found.entry;
    module.comment ??= new Comment([{ kind: 'text', text: found.description }]);
  }
}

/** What a class inherits is told where it comes from. */
function leaveOutInherited(project: ProjectReflection): void {
  for (const reflection of project.getReflectionsByKind(ReflectionKind.ClassMember))
    if ('inheritedFrom' in reflection && reflection.inheritedFrom) project.removeReflection(reflection);
}

/** Names arguments that are taken apart by the last word of their types: `VqvaeConfig` is `config`. */
function nameParameters(project: ProjectReflection): void {
  for (const parameter of project.getReflectionsByKind(ReflectionKind.Parameter)) {
    if (parameter.name !== '__namedParameters') continue;
    const type = parameter instanceof ParameterReflection && parameter.type;
    const name = type instanceof ReferenceType ? type.name : '';
    parameter.name = /[A-Z][a-z]+$/.exec(name)?.[0].toLowerCase() ?? 'options';
  }
}

/** What is thrown leads to the class of the error. */
function linkErrors(project: ProjectReflection): void {
  const classes = new Map(project.getReflectionsByKind(ReflectionKind.Class).map((found) => [found.name, found]));
  const comments = Object.values(project.reflections).flatMap(({ comment }) => comment ?? []);
  for (const { content } of comments.flatMap((comment) => comment.getTags('@throws'))) {
    const [name] = /^\w+/.exec(content[0]?.text ?? '') ?? [];
    const target = name && classes.get(name);
    if (!target) continue;
    content[0]!.text = content[0]!.text.slice(name.length);
    content.unshift({ kind: 'inline-tag', tag: '@link', text: name, target });
  }
}

/** Lines of a docstring stay lines: shapes have their own. */
function keepLines({ comment }: Reflection): void {
  for (const part of comment?.summary ?? [])
    if (part.kind === 'text') part.text = part.text.replaceAll(/(?<![\n ])\n(?!\n)/g, '  \n');
}

/**
 * A page whose only headings are names, without lines between these, with small links to sources, and without what says nothing:
 * defaults where there are none, and that constructors override those of other classes.
 */
export const tidied = (page: string): string =>
  page
    .replaceAll(/^\*\*\*\n\n/gm, '')
    .replaceAll(/^#+ Overrides\n\n.*\bconstructor`.*\n+/gm, '')
    .replaceAll(/^#{4,6} (?!.*\{#)(.+)$/gm, '**$1**')
    .replaceAll(/^#{5,6} /gm, '#### ')
    .replaceAll(/^Defined in: (\[.*\))$/gm, '<small>$1</small>')
    .replaceAll('| `undefined` |', '| |')
    .replace(/^## Modules$/m, 'Every public name, by what it is imported from, with the docstring of its source.');
