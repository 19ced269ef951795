import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { API, SymbolFlags, TypeFlags, type Checker, type Type } from "typescript/unstable/async";

/** What an SDK's types say of a value; `null` and `undefined` are not among them. */
export type Shape =
  | { readonly kind: "literal"; readonly value: string | number | boolean }
  | { readonly kind: "string" | "number" | "unknown" | "record" }
  | { readonly kind: "array"; readonly of: Shape }
  | { readonly kind: "object"; readonly fields: ReadonlyMap<string, Field> }
  | { readonly kind: "union"; readonly of: readonly Shape[] };

interface Field {
  readonly shape: Shape;
  readonly isRequired: boolean;
  readonly mayBeNull: boolean;
}

const ROOT = join(import.meta.dir, "../..");

/**
 * The shapes of types, by name, as the installed packages declare them: `types` says for each name a type expression,
 * and `imports` how its packages are imported. Read by the TypeScript compiler, so they grow with the packages.
 */
export async function documentedTypes(
  imports: readonly string[],
  types: Readonly<Record<string, string>>,
): Promise<ReadonlyMap<string, Shape>> {
  // Inside the repository, so that packages are found from there.
  const folder = mkdtempSync(join(ROOT, "node_modules/.documented-"));
  const config = join(folder, "tsconfig.json");
  const file = join(folder, "types.ts");
  const declared = Object.entries(types).map(([name, expression]) => `export type ${name} = ${expression};`);
  writeFileSync(file, [...imports, ...declared].join("\n"));
  const compilerOptions = { module: "Preserve", moduleResolution: "bundler", skipLibCheck: true, strict: true };
  writeFileSync(config, JSON.stringify({ compilerOptions, files: ["types.ts"] }));
  const api = new API({ cwd: ROOT });
  try {
    const snapshot = await api.updateSnapshot({ openProjects: [config] });
    const [project] = snapshot.getProjects();
    const source = await project?.program.getSourceFile(file);
    const module = source && (await project?.checker.getSymbolAtLocation(source));
    if (!project || !module) throw new Error("the types could not be read");
    const symbols = await project.checker.getExportsOfModule(module);
    return await new ShapeReader(project.checker).read(symbols);
  } finally {
    await api.close();
    rmSync(folder, { recursive: true });
  }
}

const NOTHING = TypeFlags.Undefined | TypeFlags.Null | TypeFlags.Never | TypeFlags.Void;

class ShapeReader {
  readonly #checker: Checker;
  /** Types refer to themselves, so each shape is handed out before it is filled. */
  readonly #shapes = new Map<number, Shape>();
  readonly #unread: (() => Promise<void>)[] = [];

  constructor(checker: Checker) {
    this.#checker = checker;
  }

  async read(symbols: Awaited<ReturnType<Checker["getExportsOfModule"]>>): Promise<ReadonlyMap<string, Shape>> {
    const shapes = new Map<string, Shape>();
    for (const symbol of symbols) {
      shapes.set(symbol.name, this.#shapeOf(await this.#checker.getDeclaredTypeOfSymbol(symbol)));
    }
    for (let next = this.#unread.shift(); next; next = this.#unread.shift()) await next();
    return shapes;
  }

  #shapeOf(type: Type): Shape {
    const known = this.#shapes.get(type.id);
    if (known) return known;
    if (type.isErrorType()) throw new Error("a type was not found");
    const shape: Shape = { kind: "unknown" };
    this.#shapes.set(type.id, shape);
    this.#unread.push(async () => void Object.assign(shape, await this.#described(type)));
    return shape;
  }

  async #described(type: Type): Promise<Shape> {
    if (type.isLiteralType() && typeof type.value !== "bigint") return { kind: "literal", value: type.value };
    if (type.isUnionType()) return this.#union(await type.getTypes());
    if (type.flags & TypeFlags.String) return { kind: "string" };
    if (type.flags & TypeFlags.Number) return { kind: "number" };
    if (await this.#checker.isArrayLikeType(type)) {
      const [of] = type.isTypeReference() ? await this.#checker.getTypeArguments(type) : [];
      return of ? { kind: "array", of: this.#shapeOf(of) } : { kind: "unknown" };
    }
    return type.isObjectType() || type.isIntersectionType() ? this.#object(type) : { kind: "unknown" };
  }

  #union(types: readonly Type[]): Shape {
    const of = types.filter(({ flags }) => (flags & NOTHING) === 0).map((type) => this.#shapeOf(type));
    return { kind: "union", of };
  }

  async #object(type: Type): Promise<Shape> {
    const symbols = await this.#checker.getPropertiesOfType(type);
    // Files and streams, which are no JSON.
    if (symbols.some(({ flags }) => flags & SymbolFlags.Method)) return { kind: "unknown" };
    if (symbols.length === 0) return { kind: "record" };
    const types = await this.#checker.getTypeOfSymbol(symbols);
    const fields = new Map<string, Field>();
    for (const [index, { name, flags }] of symbols.entries()) {
      const fieldType = types[index];
      if (!fieldType || fieldType.flags & TypeFlags.Never) continue;
      const isRequired = (flags & SymbolFlags.Optional) === 0;
      fields.set(name, { shape: this.#shapeOf(fieldType), isRequired, mayBeNull: await hasNull(fieldType) });
    }
    return { kind: "object", fields };
  }
}

async function hasNull(type: Type): Promise<boolean> {
  if (!type.isUnionType()) return (type.flags & (TypeFlags.Null | TypeFlags.Any | TypeFlags.Unknown)) !== 0;
  return (await type.getTypes()).some(({ flags }) => (flags & TypeFlags.Null) !== 0);
}
