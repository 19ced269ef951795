/** Media types of files that the backend reads, by the endings of their names. */
const TYPES: Readonly<Record<string, string>> = {
  pdf: "application/pdf",
  doc: "application/msword",
  docx: "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
  xls: "application/vnd.ms-excel",
  xlsx: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
  ppt: "application/vnd.ms-powerpoint",
  pptx: "application/vnd.openxmlformats-officedocument.presentationml.presentation",
  odt: "application/vnd.oasis.opendocument.text",
  ods: "application/vnd.oasis.opendocument.spreadsheet",
  odp: "application/vnd.oasis.opendocument.presentation",
  rtf: "application/rtf",
  epub: "application/epub+zip",
  json: "application/json",
  xml: "application/xml",
  yaml: "application/yaml",
  yml: "application/yaml",
  csv: "text/csv",
  tsv: "text/tab-separated-values",
  txt: "text/plain",
  log: "text/plain",
  md: "text/markdown",
  markdown: "text/markdown",
  htm: "text/html",
  html: "text/html",
  css: "text/css",
  js: "text/javascript",
  ics: "text/calendar",
  vcf: "text/vcard",
  eml: "message/rfc822",
  png: "image/png",
  jpg: "image/jpeg",
  jpeg: "image/jpeg",
  gif: "image/gif",
  webp: "image/webp",
};

/** Of most files that programs send. */
export const USUAL_FILE_NAME = "file.pdf";

/** Says nothing about a file that its name does not say better. */
const UNKNOWN_TYPE = /^(|application\/octet-stream|binary\/octet-stream|application\/x-binary)$/i;

/**
 * A file's content as the data URL that the backend wants: bare base64 gets the type that the file's name tells, and so
 * does a data URL that does not know its type. A type that says something stays.
 */
export function fileDataUrl(data: string, fileName: string | undefined): string {
  const named = TYPES[/\.([^./\\]+)$/.exec(fileName ?? "")?.[1]?.toLowerCase() ?? ""];
  const [start, type = ""] = /^data:([^;,]*)/i.exec(data) ?? [];
  if (start === undefined) return `data:${named ?? typeByContent(data)};base64,${data}`;
  return named !== undefined && UNKNOWN_TYPE.test(type) ? `data:${named}${data.slice(start.length)}` : data;
}

/** A file's name with an ending that tells its type, which is how the backend knows what it is. */
export function fileNameFor(title: string | undefined, type: string): string {
  const named = /\.([^./\\]+)$/.exec(title ?? "")?.[1]?.toLowerCase();
  if (title !== undefined && named !== undefined && Object.hasOwn(TYPES, named)) return title;
  const ending = Object.keys(TYPES).find((name) => TYPES[name] === type.toLowerCase()) ?? "pdf";
  return `${title ?? "document"}.${ending}`;
}

/** By the first characters of base64; what is nothing known is taken for a PDF, which most files are. */
function typeByContent(base64: string): string {
  if (base64.startsWith("iVBORw")) return "image/png";
  if (base64.startsWith("/9j/")) return "image/jpeg";
  return base64.startsWith("UEsDB") ? "application/zip" : "application/pdf";
}
