import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.security.KeyFactory;
import java.security.PrivateKey;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import javax.xml.parsers.DocumentBuilderFactory;
import javax.xml.transform.OutputKeys;
import javax.xml.transform.Transformer;
import javax.xml.transform.TransformerFactory;
import javax.xml.transform.dom.DOMSource;
import javax.xml.transform.stream.StreamResult;
import org.apache.xml.security.c14n.Canonicalizer;
import org.apache.xml.security.exceptions.XMLSecurityException;
import org.apache.xml.security.keys.content.X509Data;
import org.apache.xml.security.signature.ObjectContainer;
import org.apache.xml.security.signature.Reference;
import org.apache.xml.security.signature.SignedInfo;
import org.apache.xml.security.signature.XMLSignature;
import org.apache.xml.security.signature.XMLSignatureInput;
import org.apache.xml.security.transforms.Transform;
import org.apache.xml.security.transforms.Transforms;
import org.apache.xml.security.transforms.params.InclusiveNamespaces;
import org.apache.xml.security.transforms.params.XPathContainer;
import org.apache.xml.security.utils.Constants;
import org.apache.xml.security.utils.ElementProxy;
import org.apache.xml.security.utils.resolver.ResourceResolverContext;
import org.apache.xml.security.utils.resolver.ResourceResolverSpi;
import org.w3c.dom.Document;
import org.w3c.dom.Element;
import org.w3c.dom.Node;
import org.w3c.dom.NodeList;

/** XML signatures by Apache Santuario: it evaluates the XPath of ebMS, which our own code only compares. */
final class Signatures {
    private static final String SOAP = "http://schemas.xmlsoap.org/soap/envelope/";
    private static final String EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#";

    /** The MIME parts of a message, by cid: URI. */
    private static final class Parts extends ResourceResolverSpi {
        private final Map<String, byte[]> byUri = new HashMap<>();

        Parts(Engine.Fields question) {
            List<byte[]> uris = question.all("part-uri");
            List<byte[]> bodies = question.all("part-body");
            for (int i = 0; i < uris.size(); i++) {
                byUri.put(new String(uris.get(i), java.nio.charset.StandardCharsets.UTF_8), bodies.get(i));
            }
        }

        @Override
        public boolean engineCanResolveURI(ResourceResolverContext context) {
            return context.uriToResolve != null && byUri.containsKey(context.uriToResolve);
        }

        @Override
        public XMLSignatureInput engineResolveURI(ResourceResolverContext context) {
            return new XMLSignatureInput(byUri.get(context.uriToResolve));
        }
    }

    private Signatures() {}

    /**
     * Says whether the first ds:Signature holds by the certificate given, and what each of its references covers: URI,
     * transforms, and, where the question is for "octets", those that went into the digest.
     */
    static Engine.Fields verify(Engine.Fields question) throws Exception {
        Document document = parse(question.bytes("xml"));
        Node found = document.getElementsByTagNameNS(Constants.SignatureSpecNS, "Signature").item(0);
        if (found == null) {
            throw new Engine.Refused("no ds:Signature");
        }
        Engine.Fields answer = new Engine.Fields();
        try {
            XMLSignature signature = new XMLSignature((Element) found, "", true);
            signature.addResourceResolver(new Parts(question));
            if (!signature.checkSignatureValue(certificate(question.bytes("certificate")).getPublicKey())) {
                throw new Engine.Refused("the signature or a digest does not hold");
            }
            SignedInfo info = signature.getSignedInfo();
            for (int i = 0; i < info.getLength(); i++) {
                Reference reference = info.item(i);
                StringBuilder transforms = new StringBuilder();
                Transforms list = reference.getTransforms();
                for (int j = 0; list != null && j < list.getLength(); j++) {
                    transforms.append(j == 0 ? "" : " ").append(list.item(j).getURI());
                }
                answer.add("uri", reference.getURI());
                answer.add("transforms", transforms.toString());
                answer.add("digest-value", reference.getDigestValue());
                // Found by evaluating everything once more, which takes as long as the verification.
                answer.add("octets", question.has("octets") ? reference.getReferencedBytes() : new byte[0]);
            }
        } catch (XMLSecurityException refused) {
            throw new Engine.Refused(refused);
        }
        return answer;
    }

    /** Signs an envelope (last child of its SOAP:Header) or a document (last child of the root) as the options say. */
    static Engine.Fields sign(Engine.Fields question) throws Exception {
        Document document = parse(question.bytes("xml"));
        ElementProxy.setDefaultPrefix(Constants.SignatureSpecNS, question.text("ds-prefix"));
        ElementProxy.setDefaultPrefix(InclusiveNamespaces.ExclusiveCanonicalizationNamespace, "ec");
        XMLSignature signature = new XMLSignature(
                document, "", question.text("signature-method"), question.text("signed-info-c14n"));
        signature.addResourceResolver(new Parts(question));
        NodeList headers = document.getElementsByTagNameNS(SOAP, "Header");
        Node parent = headers.getLength() == 0 ? document.getDocumentElement() : headers.item(0);
        parent.appendChild(signature.getElement());
        signature.addDocument("", transforms(document, question), question.text("digest-method"));
        for (byte[] uri : question.all("part-uri")) {
            Transforms none = null;
            if (question.has("part-transform")) {
                none = new Transforms(document);
                none.addTransform(question.text("part-transform"));
            }
            signature.addDocument(
                    new String(uri, java.nio.charset.StandardCharsets.UTF_8), none, question.text("digest-method"));
        }
        if (question.has("object")) {
            ObjectContainer object = new ObjectContainer(document);
            object.setId("more");
            object.appendChild(document.createTextNode("more"));
            signature.appendObject(object);
            signature.addDocument("#more", null, question.text("digest-method"));
        }
        for (String one : question.text("key-info").split(" ")) {
            addKeyInfo(document, signature, one, question.all("certificate"));
        }
        PrivateKey key = KeyFactory.getInstance("RSA")
                .generatePrivate(new PKCS8EncodedKeySpec(question.bytes("private-key")));
        signature.sign(key);
        lineEnds(signature.getElement(), question.text("line-ends"));
        return new Engine.Fields().add("xml", written(document, question.text("line-ends")));
    }

    private static Transforms transforms(Document document, Engine.Fields question) throws Exception {
        Transforms transforms = new Transforms(document);
        for (byte[] one : question.all("transform")) {
            String algorithm = new String(one, java.nio.charset.StandardCharsets.UTF_8);
            if (algorithm.equals(Transforms.TRANSFORM_XPATH)) {
                XPathContainer xpath = new XPathContainer(document);
                xpath.setXPathNamespaceContext(question.text("soap-prefix"), SOAP);
                xpath.setXPath(question.text("xpath"));
                transforms.addTransform(algorithm, xpath.getElementPlusReturns());
            } else {
                transforms.addTransform(algorithm);
            }
        }
        if (question.has("inclusive-prefixes")) {
            Transform last = transforms.item(transforms.getLength() - 1);
            last.getElement().appendChild(
                    new InclusiveNamespaces(document, question.text("inclusive-prefixes")).getElement());
        }
        return transforms;
    }

    private static void addKeyInfo(Document document, XMLSignature signature, String what, List<byte[]> certificates)
            throws Exception {
        switch (what) {
            case "none":
                return;
            case "value":
                signature.addKeyInfo(certificate(certificates.get(0)).getPublicKey());
                return;
            case "name":
                signature.getKeyInfo().addKeyName("virksomhet");
                return;
            case "x509":
                X509Data data = new X509Data(document);
                for (byte[] one : certificates) {
                    data.addCertificate(certificate(one));
                }
                signature.getKeyInfo().add(data);
                return;
            case "x509-full":
                X509Data full = new X509Data(document);
                X509Certificate certificate = certificate(certificates.get(0));
                full.addIssuerSerial(certificate.getIssuerX500Principal().getName(), certificate.getSerialNumber());
                full.addSubjectName(certificate);
                full.addCertificate(certificate);
                signature.getKeyInfo().add(full);
                return;
            default:
                throw new IllegalArgumentException("no such KeyInfo: " + what);
        }
    }

    /** Santuario breaks base64 with CR LF; the other ends of line are those of engines that tidy up afterwards. */
    private static void lineEnds(Element signature, String how) {
        if (how.equals("&#13;") || how.equals("&#xD;")) {
            return;
        }
        for (String name : List.of("SignatureValue", "X509Certificate", "Modulus")) {
            NodeList found = signature.getElementsByTagNameNS(Constants.SignatureSpecNS, name);
            for (int i = 0; i < found.getLength(); i++) {
                String text = found.item(i).getTextContent();
                found.item(i).setTextContent(text.replace("\r\n", how.equals("LF") ? "\n" : ""));
            }
        }
    }

    /** Writes by the serializer of the JDK, or by C14N, which spells a CR in another way. */
    private static byte[] written(Document document, String lineEnds) throws Exception {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        if (lineEnds.equals("&#xD;")) {
            Canonicalizer.getInstance(Canonicalizer.ALGO_ID_C14N_WITH_COMMENTS).canonicalizeSubtree(document, out);
        } else {
            Transformer transformer = TransformerFactory.newInstance().newTransformer();
            transformer.setOutputProperty(OutputKeys.OMIT_XML_DECLARATION, lineEnds.equals("none") ? "no" : "yes");
            transformer.transform(new DOMSource(document), new StreamResult(out));
        }
        return out.toByteArray();
    }

    private static Document parse(byte[] xml) throws Exception {
        DocumentBuilderFactory factory = DocumentBuilderFactory.newInstance();
        factory.setNamespaceAware(true);
        factory.setFeature("http://apache.org/xml/features/disallow-doctype-decl", true);
        return factory.newDocumentBuilder().parse(new ByteArrayInputStream(xml));
    }

    static X509Certificate certificate(byte[] der) throws Exception {
        return (X509Certificate)
                CertificateFactory.getInstance("X.509").generateCertificate(new ByteArrayInputStream(der));
    }
}
